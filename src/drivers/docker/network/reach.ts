import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Engine } from "../engine/engine.ts";
import { isMissing } from "../engine/engine-error.ts";
import type { Reach } from "../options.ts";

/** How the daemon gets to its tasks, decided once. */
export type ReachPlan =
  | { readonly type: "direct" }
  | { readonly type: "published" }
  /** The daemon runs in this container, which joins every task network. */
  | { readonly type: "member"; readonly containerId: string };

/**
 * Decides how to reach tasks. `auto`: a member if the daemon itself runs in a container of this engine with a network of its
 * own; published where container addresses are not routable; direct otherwise.
 */
export async function planReach(
  wanted: Reach | "auto",
  engine: Engine,
  signal: AbortSignal,
): Promise<ReachPlan> {
  if (wanted === "direct" || wanted === "published") return { type: wanted };
  const containerId = await findOwnContainer(engine, signal);
  if (containerId !== undefined) return { type: "member", containerId };
  // A socket file whose engine has another host name leads into a virtual machine.
  const isRoutable = process.platform === "linux" && (engine.isLocal || !engine.isSocket);
  return { type: isRoutable ? "direct" : "published" };
}

/** The container of this engine that the daemon runs in; `undefined` on a host, or if it shares the host's network. */
async function findOwnContainer(engine: Engine, signal: AbortSignal): Promise<string | undefined> {
  for (const candidate of await ownContainerCandidates()) {
    try {
      const facts = await engine.containers.inspect(candidate, { signal });
      if (facts.isRunning && facts.networkMode !== "host") return facts.id;
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
  }
  return undefined;
}

async function ownContainerCandidates(): Promise<readonly string[]> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  const candidates = idsInMounts(mounts);
  // An engine names a container's host after its id unless told otherwise.
  if (/^[0-9a-f]{12}$/.test(hostname())) candidates.push(hostname());
  return candidates;
}

/** Engines mount these three files over an image's own from a folder that is named by the container's id. */
export function idsInMounts(mountinfo: string): string[] {
  const pattern =
    /\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) \/etc\/(?:hostname|hosts|resolv\.conf) /g;
  return [...new Set([...mountinfo.matchAll(pattern)].map((match) => match[1] ?? ""))];
}
