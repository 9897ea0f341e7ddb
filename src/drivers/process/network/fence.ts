import { createHash } from "node:crypto";
import { runIp } from "./run-ip.ts";

/** Above every metric in ordinary use, and for each owner another one, so that two daemons may fence the same range. */
const FIRST_METRIC = 0x4800_0000;

export interface Fence {
  readonly owner: string;
  /** From its first address. */
  readonly range: string;
}

/**
 * Makes the whole range unreachable but for the cables in it, which are narrower routes. Otherwise a call to a sandbox that has
 * just ended would follow the host's default route, to whoever has that address outside.
 *
 * @throws Error when it cannot be made.
 */
export async function raiseFence(ip: string, fence: Fence): Promise<void> {
  await runIp(ip, [], [`route replace ${routeOf(fence)}`]);
}

/** @throws Error when there is none. */
export async function lowerFence(ip: string, fence: Fence): Promise<void> {
  await runIp(ip, [], [`route delete ${routeOf(fence)}`]);
}

function routeOf({ owner, range }: Fence): string {
  const metric = FIRST_METRIC + createHash("sha256").update(owner).digest().readUIntBE(0, 3);
  return `unreachable ${range} metric ${metric}`;
}
