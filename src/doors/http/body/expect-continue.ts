import type { IncomingMessage, ServerResponse } from "node:http";

const waiting = new WeakSet<IncomingMessage>();

/** Notes that a client will send its body only when told to. */
export function expectsContinue(request: IncomingMessage): void {
  waiting.add(request);
}

/** Tells such a client to go on. Call it when the body is wanted: one that is refused is then never sent. */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (waiting.delete(request) && !response.headersSent) response.writeContinue();
}
