import { poll } from "../../support/poll.ts";
import type { PrivateRedis } from "../../support/private-redis.ts";

export const STREAM = "shell_requests";
/** The bare loop's own: what is put there is nobody else's. */
export const BARE_STREAM = "bare_requests";
export const GROUP = "all_consumers";
const EVENTS = "events";
/** No run of a benchmark is waited for longer. */
const PATIENCE_MS = 240_000;

const FILL =
  "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'id', ARGV[2] .. i, 'task_dir', 't/' .. ARGV[2] .. i, " +
  "'executer_type', 'shell', 'method', ARGV[3]) end";

/** Puts jobs on the stream, all in one step: what is measured is how fast they are taken. */
export async function fill(
  redis: PrivateRedis,
  stream: string,
  { count, round, method }: { readonly count: number; readonly round: string; readonly method: string },
): Promise<void> {
  await redis.ask("EVAL", FILL, "1", stream, `${count}`, round, method);
}

/** Takes what an earlier round left out of the way of the next; the groups stay. */
export async function clear(redis: PrivateRedis): Promise<void> {
  await redis.ask("DEL", EVENTS);
  for (const stream of [STREAM, BARE_STREAM]) await redis.ask("XTRIM", stream, "MAXLEN", "0");
}

/** How the jobs of one round ended. */
export interface Ended {
  /** Starts that were told beyond one for each job, and ends likewise. */
  readonly repeated: number;
  /** Ends by the name of the host that told them. */
  readonly byHost: ReadonlyMap<string, number>;
}

/**
 * Waits until each of `count` jobs has told its start and its end. Asks for a number only, since reading all events would be work
 * that the hosts have to wait for.
 */
export async function untilOver(redis: PrivateRedis, count: number): Promise<void> {
  await poll(
    `${count} jobs are over`,
    async () => {
      const length = Number(await redis.ask("XLEN", EVENTS));
      return length >= 2 * count || `${length} events`;
    },
    PATIENCE_MS,
  );
}

/** @throws where one did not succeed: a figure of failures is none. */
export async function howEnded(redis: PrivateRedis, count: number): Promise<Ended> {
  const rows = (await redis.ask("XRANGE", EVENTS, "-", "+")) as [string, string[]][];
  const byHost = new Map<string, number>();
  const ids = { TaskStarted: new Set<string>(), TaskCompleted: new Set<string>() };
  for (const [, fields] of rows) {
    const type = fields[fields.indexOf("type") + 1] as keyof typeof ids;
    const json = fields[fields.indexOf("json") + 1] ?? "";
    const { id, host, status } = JSON.parse(json) as Record<"id" | "host" | "status", string>;
    ids[type].add(id);
    if (type === "TaskStarted") continue;
    if (status !== "success") throw new Error(`a job that does nothing ended so: ${json}`);
    byHost.set(host, (byHost.get(host) ?? 0) + 1);
  }
  if (ids.TaskCompleted.size !== count) throw new Error(`${ids.TaskCompleted.size} of ${count} jobs ended`);
  return { repeated: rows.length - ids.TaskStarted.size - ids.TaskCompleted.size, byHost };
}
