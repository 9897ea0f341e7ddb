import type { FollowedEvent } from "../../../core/index.ts";
import { orAbort, sleep } from "../../../std/index.ts";
import type { Connection } from "./connection.ts";
import type { FailureType } from "./failure.ts";
import { failureOf, reasonOf, unavailable } from "./failure.ts";

const BATCH = 256;
const WAIT_MS = 5000;
const BEGINNING = "0-0";
const AGAIN_MS = 50;
const PASSING: readonly FailureType[] = ["retry", "reconnect"];

/**
 * Reads a stream from an entry on, for as long as the signal lets it. Whenever the connection comes up anew it is asked whether the
 * stream is still the one that was read: a server that lost its data begins again, and a clock that went back would hide what
 * comes.
 */
export async function* followStream(
  connection: Connection,
  stream: string,
  afterId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<FollowedEvent | { readonly type: "restarted" }, void, undefined> {
  let after = afterId ?? BEGINNING;
  let checkedEpoch = -1;
  for (;;) {
    try {
      await connection.untilUp(signal);
      if (checkedEpoch !== connection.epoch) {
        const { epoch } = connection;
        if (after !== BEGINNING && !(await holds(connection, stream, after))) {
          after = BEGINNING;
          yield { type: "restarted" };
        }
        checkedEpoch = epoch;
      }
      for (const event of await read(connection, stream, after, signal)) {
        signal.throwIfAborted();
        yield event;
        after = event.id;
      }
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) return;
      // A connection comes back by itself; a key that cannot be read is for whoever reads this.
      if (!PASSING.includes(failureOf(error))) throw unavailable(reasonOf(error), error);
      // It hears of its own end a moment after us.
      await sleep(AGAIN_MS, signal).catch(() => undefined);
    }
  }
}

/** Whether the stream still has, or had, this entry. */
async function holds(connection: Connection, stream: string, id: string): Promise<boolean> {
  const answer = await connection
    .send(["XINFO", "STREAM", stream], { key: stream })
    .catch((error: unknown) => {
      if (/no such key/i.test(reasonOf(error))) return undefined;
      throw error;
    });
  if (!Array.isArray(answer)) return false;
  const last: unknown = answer[answer.indexOf("last-generated-id") + 1];
  return typeof last === "string" && compareIds(last, id) >= 0;
}

/** Ids of a stream are two numbers, milliseconds and a count. */
function compareIds(a: string, b: string): number {
  const [aMs = 0n, aCount = 0n] = a.split("-").map(BigInt);
  const [bMs = 0n, bCount = 0n] = b.split("-").map(BigInt);
  const difference = aMs === bMs ? aCount - bCount : aMs - bMs;
  return difference === 0n ? 0 : difference > 0n ? 1 : -1;
}

async function read(
  connection: Connection,
  stream: string,
  after: string,
  signal: AbortSignal,
): Promise<FollowedEvent[]> {
  const args = ["XREAD", "COUNT", String(BATCH), "BLOCK", String(WAIT_MS), "STREAMS", stream, after];
  // Whoever ends does not wait for Redis to end waiting; the answer, if one comes, is of no use any more.
  const answer = await orAbort(connection.send(args, { waitMs: WAIT_MS, key: stream }), signal);
  const streams = answer as StreamsAnswer | null;
  return (streams?.[0]?.[1] ?? []).map(([id, flat]) => ({ id, fields: fieldsOf(flat ?? []) }));
}

function fieldsOf(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ""] = flat[at + 1] ?? "";
  return fields;
}

/** What RESP 2 says: for each stream its name and entries, each an id and its fields one after the other. */
type StreamsAnswer = readonly (readonly [string, readonly (readonly [string, readonly string[] | null])[]])[];
