import { reasonOf } from "./failure.ts";
import { openClient } from "./open-client.ts";
import type { RedisAddress, RedisSettings, RedisTimes } from "./settings.ts";

type SentinelSettings = Extract<RedisSettings, { type: "sentinel" }>;

/**
 * Asks one sentinel after the other where the primary is, and the server that they name whether it is one: right after a failover
 * a sentinel may still name the old one (the client guide of Redis Sentinel asks for this).
 *
 * @throws the last failure, when no sentinel names a server that says it is the primary.
 */
export async function findPrimary(settings: SentinelSettings, times: RedisTimes): Promise<RedisAddress> {
  let last: unknown = new Error("no sentinel is named");
  for (const sentinel of settings.sentinels) {
    try {
      const address = await askSentinel(settings, sentinel, times);
      await checkIsPrimary(settings, address, times);
      return address;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`no sentinel led to the primary ${settings.primary}: ${reasonOf(last)}`, { cause: last });
}

async function askSentinel(
  { primary, sentinelUsername, sentinelPassword, tls }: SentinelSettings,
  sentinel: RedisAddress,
  times: RedisTimes,
): Promise<RedisAddress> {
  const access = {
    username: sentinelUsername,
    password: sentinelPassword?.reveal(),
    tls,
    connectMs: times.commandMs,
  };
  const answer = await askOnce(sentinel, access, ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary]);
  const [host, port] = Array.isArray(answer) ? (answer as unknown[]) : [];
  if (typeof host !== "string") throw new Error(`the sentinel knows no primary ${primary}`);
  return { host, port: Number(port) };
}

async function checkIsPrimary(
  settings: SentinelSettings,
  address: RedisAddress,
  times: RedisTimes,
): Promise<void> {
  const { username, password, tls } = settings;
  const access = { username, password: password?.reveal(), tls, connectMs: times.commandMs };
  const answer = await askOnce(address, access, ["ROLE"]);
  const role: unknown = Array.isArray(answer) ? answer[0] : undefined;
  if (role !== "master") throw new Error(`${address.host}:${address.port} is a ${String(role)}`);
}

async function askOnce(
  address: RedisAddress,
  access: Parameters<typeof openClient>[1],
  command: readonly string[],
): Promise<unknown> {
  let gone: (reason: unknown) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => {
    gone = reject;
  });
  lost.catch(() => undefined); // once the answer is there, the end of the connection is no news
  const client = await openClient(address, access, (reason) => gone(reason));
  const timer = setTimeout(() => gone(new Error("no answer in time")), access.connectMs);
  try {
    return await Promise.race([client.send(command), lost]);
  } finally {
    clearTimeout(timer);
    client.destroy();
  }
}
