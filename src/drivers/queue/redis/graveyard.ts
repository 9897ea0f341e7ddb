import type { DeadLetter } from "../../../core/index.ts";
import { orAbort } from "../../../std/index.ts";
import type { Base } from "./base.ts";
import { reasonOf, unavailable } from "./failure.ts";
import type { Place } from "./names.ts";
import { readEntries } from "./replies.ts";
import { REPLAY } from "./scripts/ending.ts";

const FIELD = "field:";
const BATCH = 100;

/** The oldest of the dead, of all places. @throws QUEUE_UNAVAILABLE; the signal's reason. */
export async function listDead(
  base: Base,
  limit: number,
  signal: AbortSignal,
): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (const place of base.places(base.options.streams)) {
    const key = base.deadKeyOf(place);
    const reply = await ask(base, ["XRANGE", key, "-", "+", "COUNT", `${limit}`], key, signal);
    letters.push(...readEntries(reply).map(({ id, fields }) => readLetter(nameIn(base, place, id), fields)));
  }
  return letters.sort((a, b) => a.atMs - b.atMs).slice(0, limit);
}

/** @returns how many went back. An entry that somebody else puts back at the same time goes back once. */
export async function replayDead(
  base: Base,
  ids: readonly string[] | "all",
  signal: AbortSignal,
): Promise<number> {
  let replayed = 0;
  for (const place of base.places(base.options.streams)) {
    const key = base.deadKeyOf(place);
    const chosen = ids === "all" ? allIds(base, key, signal) : idsIn(base, place, ids);
    for await (const id of chosen) {
      const done = base.run(REPLAY, place, [key], { id });
      replayed += Number(await orAbort(translated(done), signal));
    }
  }
  return replayed;
}

/** An id is Redis's own; in a cluster, where two lists may give the same one, with the list's streams before it. */
function nameIn(base: Base, place: Place, id: string): string {
  return base.isCluster ? `${place.prefix}${id}` : id;
}

function idsIn(base: Base, place: Place, names: readonly string[]): readonly string[] {
  if (!base.isCluster) return names;
  return names.flatMap((name) => (name.startsWith(place.prefix) ? [name.slice(place.prefix.length)] : []));
}

/** Those that are there now: an entry that dies again meanwhile is not put back once more. */
async function* allIds(base: Base, key: string, signal: AbortSignal): AsyncGenerator<string> {
  const newest = readEntries(await ask(base, ["XREVRANGE", key, "+", "-", "COUNT", "1"], key, signal))[0]?.id;
  if (newest === undefined) return;
  for (let from = "-"; ; ) {
    const reply = await ask(base, ["XRANGE", key, from, newest, "COUNT", `${BATCH}`], key, signal);
    const page = readEntries(reply);
    for (const { id } of page) yield id;
    const last = page.at(-1)?.id;
    if (last === undefined || page.length < BATCH) return;
    from = `(${last}`;
  }
}

async function ask(base: Base, args: readonly string[], key: string, signal: AbortSignal): Promise<unknown> {
  return await orAbort(translated(base.connection.send(args, { key })), signal);
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw unavailable(reasonOf(error), error);
  }
}

function readLetter(id: string, row: Readonly<Record<string, string>>): DeadLetter {
  const fields = Object.entries(row).flatMap(([name, value]): (readonly [string, string])[] =>
    name.startsWith(FIELD) ? [[name.slice(FIELD.length), value]] : [],
  );
  return {
    id,
    stream: row["stream"] ?? "",
    entryId: row["entry"] ?? "",
    jobId: row["job"] ?? "",
    reason: row["reason"] ?? "",
    deaths: Number(row["deaths"] ?? 0),
    atMs: Number(row["at"] ?? 0),
    fields: Object.fromEntries(fields),
  };
}
