import { randomBytes } from "node:crypto";

const PATTERN = /^(?:zz_)?hearth_net_[0-9a-f]{12}$/;

/**
 * A new name for a task network and the container that sleeps in it; never the tasks' own prefix.
 *
 * @param isLast whether it must come after every other network's name: of the networks with a way out that a container is in,
 * engines make the first by name its default route, and the daemon's own must stay with its control network.
 */
export function networkName(isLast: boolean): string {
  return `${isLast ? "zz_" : ""}hearth_net_${randomBytes(6).toString("hex")}`;
}

/** Whether a name is one that {@link networkName} gives. */
export function isNetworkName(name: string): boolean {
  return PATTERN.test(name);
}
