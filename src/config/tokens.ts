import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { Secret } from "../core/index.ts";
import type { Fault } from "./fault.ts";
import type { Locate } from "./judge.ts";
import { codeOf } from "./open-file.ts";
import type { Config } from "./schema.ts";
import type { TokenScope } from "./schema-sections.ts";
import { TOKEN_SCOPES } from "./schema-sections.ts";

const LONGEST_TOKEN = 4096;

/** Who may do what. The name is what the log says; the token itself is never printed. */
export interface AccessToken {
  readonly name: string;
  readonly token: Secret;
  readonly scopes: readonly TokenScope[];
}

/**
 * Gathers the tokens of the HTTP door and reads those that lie in files.
 *
 * @param folder where relative file names of `http.tokens` begin.
 */
export function readTokens(
  http: Config["http"],
  folder: string,
  locate: Locate,
): { readonly tokens: readonly AccessToken[]; readonly faults: readonly Fault[] } {
  const tokens: AccessToken[] = [];
  const faults: Fault[] = [];
  const take = (path: readonly PropertyKey[], token: Omit<AccessToken, "token">, file: string): void => {
    const read = readTokenFile(file);
    if (read instanceof Secret) tokens.push({ ...token, token: read });
    else faults.push({ origin: locate(path, "value"), key: path.join("."), message: read });
  };
  const everything = { name: "default", scopes: TOKEN_SCOPES };
  if (http.token.reveal() !== "") tokens.push({ ...everything, token: http.token });
  if (http.token_file !== "") take(["http", "token_file"], everything, http.token_file);
  for (const [index, { name, scopes, token, token_file: file }] of http.tokens.entries()) {
    const path = ["http", "tokens", index];
    if (token !== undefined && file === undefined) tokens.push({ name, scopes, token });
    else if (file !== undefined && token === undefined) take(path, { name, scopes }, resolve(folder, file));
    else {
      const message = "expected either token or token_file";
      faults.push({ origin: locate(path, "value"), key: path.join("."), message });
    }
  }
  return { tokens, faults };
}

function readTokenFile(path: string): Secret | string {
  try {
    if (statSync(path).size > LONGEST_TOKEN) return `${path} is too long for a token`;
    const token = readFileSync(path, "utf8").trim();
    return token === "" ? `${path} is empty` : new Secret(token);
  } catch (error) {
    return `${path} cannot be read (${codeOf(error)})`;
  }
}
