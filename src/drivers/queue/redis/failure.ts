import { ErrorReply } from "@redis/client";
import { ExecutorError } from "../../../core/index.ts";

/**
 * What an answer or a broken connection calls for.
 *
 * `retry`: it passes by itself. `reconnect`: this server will not do, another one may be the primary by now. `settings`: somebody
 * has to repair the settings of Redis or ours; tried again all the same, as the repair needs no word to us. `stream`: one stream
 * cannot be used. `group`: the group is gone and can be made again. `script`: to be sent with its text. `defect`: ours.
 */
export type FailureType = "retry" | "reconnect" | "settings" | "stream" | "group" | "script" | "defect";

/**
 * Error codes of Redis by what they call for. Within a script Redis 6.2 puts the code in the midst of a sentence of its own, so
 * each is looked for as a word. Sources: the `shared.*err` texts of server.c and the pages on ACL, Sentinel and Cluster.
 */
const CODES: readonly (readonly [FailureType, RegExp])[] = [
  ["script", /\bNOSCRIPT\b/],
  ["group", /\bNOGROUP\b/],
  ["stream", /\bWRONGTYPE\b/],
  // A user that may not touch one key is the stream's trouble; one that may not run a command is everybody's.
  ["stream", /No permissions to access a key|can't access at least one of the keys|\bNOPERM\b.*\bkeys?\b/],
  ["settings", /\bNOPERM\b|can't run this command|\bNOAUTH\b|\bWRONGPASS\b|without any password configured/],
  ["settings", /\bDENIED\b|unknown command|invalid DB index|DB index is out of range/i],
  ["reconnect", /\bREADONLY\b|\bMASTERDOWN\b|\bUNKILLABLE\b/],
  ["retry", /\bLOADING\b|\bBUSY\b|\bOOM\b|\bMISCONF\b|\bNOREPLICAS\b|\bTRYAGAIN\b|\bCLUSTERDOWN\b/],
  ["retry", /\bMOVED\b|\bASK\b|max number of clients|\bUNBLOCKED\b/],
];

export function failureOf(error: unknown): FailureType {
  if (!(error instanceof ErrorReply)) return "retry";
  return failureOfText(error.message);
}

/** The same for the text of an error reply, as a script hands it on. */
export function failureOfText(text: string): FailureType {
  return CODES.find(([, pattern]) => pattern.test(text))?.[0] ?? "defect";
}

/** What goes to people: one line, and never what was sent. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split("\n")[0]?.slice(0, 300) ?? "";
}

/** What says already that the queue does not answer, and why, is not said again. */
export function unavailable(reason: string, cause?: unknown): ExecutorError {
  if (cause instanceof ExecutorError && cause.code === "QUEUE_UNAVAILABLE") return cause;
  return new ExecutorError("QUEUE_UNAVAILABLE", { reason }, { cause });
}
