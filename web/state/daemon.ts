import { signal } from "@preact/signals";
import { HearthClient } from "../../src/client/index.ts";
import { fetchAgain } from "./fetch-again.ts";

const TOKEN_KEY = "hearth-token";

/** The operator's token: for this tab only, and gone with it. */
export const token = signal(sessionStorage.getItem(TOKEN_KEY) ?? "");

export function setToken(text: string): void {
  token.value = text;
  if (text === "") sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, text);
}

/** The daemon that served this page. */
export function daemon(): HearthClient {
  const how = { baseUrl: location.origin, fetch: fetchAgain };
  return new HearthClient(token.value === "" ? how : { ...how, token: token.value });
}
