import type { Clock, FleetBoard, FleetHost } from "../../../core/index.ts";
import { orAbort, systemClock } from "../../../std/index.ts";
import { openConnection } from "./connection.ts";
import { evaluate, script } from "./evaluate.ts";
import { reasonOf, unavailable } from "./failure.ts";
import { listOf } from "./replies.ts";
import type { RedisSettings, RedisTimes } from "./settings.ts";
import { REDIS_TIMES } from "./settings.ts";
import { SOURCE_LIMITS } from "./source-options.ts";

export interface RedisFleetOptions {
  readonly settings: RedisSettings;
  /** How long a host is listed after it last said something. */
  readonly lifeMs: number;
  readonly prefix?: string;
  readonly times?: Partial<RedisTimes>;
  readonly clock?: Clock;
}

/** One hash holds all hosts, each row as `<until, ms of Redis's clock> <JSON>`; whoever reads or writes takes out what has run out. */
const COMMON = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local rows = {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local untilMs, row = string.match(all[at + 1], '^(%d+) (.*)$')
  if untilMs and tonumber(untilMs) > now then
    rows[#rows + 1] = row
  elseif ARGV[1] == 'write' then
    redis.call('HDEL', KEYS[1], all[at])
  end
end
`;
const PUBLISH = script(
  COMMON,
  `
redis.call('HSET', KEYS[1], ARGV[2], string.format('%d', now + tonumber(ARGV[3])) .. ' ' .. ARGV[4])
-- another host's row may live longer
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
`,
);
const LIST = script(COMMON, "return rows");

/**
 * The board in Redis, over a connection of its own that comes back by itself. Publishing while it is away is refused; the next time
 * tells everything.
 */
export function openRedisFleet(options: RedisFleetOptions): FleetBoard {
  const times = { ...REDIS_TIMES, ...options.times };
  const { settings, lifeMs, clock = systemClock, prefix = SOURCE_LIMITS.prefix } = options;
  const connection = openConnection({ settings, times, clock });
  const key = `${prefix}fleet`;
  const asked = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw unavailable(reasonOf(error), error);
    }
  };
  return {
    ready: async (signal) => await connection.untilUp(signal),
    async publish(host) {
      const args = ["write", host.hostId, `${lifeMs}`, JSON.stringify(host)];
      await asked(evaluate(connection, PUBLISH, [key], args));
    },
    async hosts(signal) {
      const rows = listOf(await orAbort(asked(evaluate(connection, LIST, [key], ["read"])), signal));
      const hosts = rows.flatMap((row) => readHost(row) ?? []);
      return hosts.sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
    },
    async withdraw(hostId) {
      await asked(connection.send(["HDEL", key, hostId], { key }));
    },
    [Symbol.asyncDispose]: async () => await connection[Symbol.asyncDispose](),
  };
}

/** Later versions may add to it; what is not a host at all is left out. */
function readHost(row: unknown): FleetHost | undefined {
  try {
    const host = JSON.parse(String(row)) as FleetHost;
    return typeof host.hostId === "string" ? host : undefined;
  } catch {
    return undefined; // whoever wrote it is not one of us
  }
}
