import { parseEvent } from "../../contract/executer-tracker/index.ts";
import { sleep } from "../../std/index.ts";
import type { ApiParts } from "./api-options.ts";
import { changesOf } from "./event-changes.ts";

/** The pause after a book that could not be written, such as on a full disk. */
const AGAIN_MS = 1000;

/**
 * Keeps the book up to date with the `events` stream until the signal aborts. Each event and its place in the stream are written
 * in one step, so that none is applied twice or left out, also over a crash.
 */
export async function followEvents(parts: ApiParts, signal: AbortSignal): Promise<void> {
  while (!isOver(signal)) {
    try {
      await applyEvents(parts, signal);
    } catch (error) {
      if (isOver(signal)) return;
      parts.log.log("error", "api.failed", { error });
      await sleep(AGAIN_MS, signal);
    }
  }
}

async function applyEvents(
  { producer, book, methodTypes, log }: ApiParts,
  signal: AbortSignal,
): Promise<void> {
  for await (const event of producer.follow(await book.lastEvent(), signal)) {
    if ("type" in event) {
      // What is in a new stream is applied anew; the book's tasks only move on, so that is harmless.
      await book.forgetLastEvent();
      continue;
    }
    const parsed = parseEvent(event.fields);
    if (parsed === undefined)
      log.log("debug", "api.event-ignored", { eventId: event.id, type: event.fields["type"]?.slice(0, 64) });
    await book.apply(parsed === undefined ? [] : changesOf(parsed, methodTypes), event.id);
  }
}

/** As a question of its own: that it was asked before says nothing of now. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
