import type { Readable } from "node:stream";
import { isRecord, jsonLines } from "../engine/json-lines.ts";

/** An engine that has started ends what its last life left within this. */
const SETTLED_MS = 300_000;

/** One event that an engine remembers, of a container. */
export interface PastEvent {
  readonly containerId: string;
  readonly action: string;
  /** By the engine's clock. */
  readonly atMs: number;
}

/**
 * Whether what an engine remembers shows that a container ended by itself, or by somebody's hand, and not with the engine. Engines keep
 * their last 256 events in memory only: who remembers the death has lived on since. It must have lived for a while before, too, since an engine that
 * was killed ends at its next start what it finds running; it did if it saw the container start.
 */
export function endedByItself(events: readonly PastEvent[], containerId: string): boolean {
  const own = events.filter((event) => event.containerId === containerId);
  const death = own.findLast(({ action }) => action === "die");
  if (death === undefined) return false;
  return (
    own.some(({ action, atMs }) => action === "start" && atMs <= death.atMs) ||
    events.some(({ atMs }) => atMs <= death.atMs - SETTLED_MS)
  );
}

/** Reads a list of events that ends. */
export async function readPastEvents(stream: Readable): Promise<readonly PastEvent[]> {
  const events: PastEvent[] = [];
  for await (const line of jsonLines(stream)) {
    const { Actor: actor, Action: action, timeNano } = line;
    if (!isRecord(actor) || typeof actor["ID"] !== "string" || typeof action !== "string") continue;
    events.push({ containerId: actor["ID"], action, atMs: Number(timeNano) / 1e6 });
  }
  return events;
}
