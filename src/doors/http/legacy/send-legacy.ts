import type { ServerResponse } from "node:http";
import { sendText } from "../answer/send-json.ts";

/** Answers as the contract's clients expect: indented JSON, whose `success` says what happened. */
export function sendLegacy(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON.stringify(body, undefined, 4), {
    "content-type": "application/json; charset=utf-8",
  });
}
