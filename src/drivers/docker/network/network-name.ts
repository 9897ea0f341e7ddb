import { createHash, randomBytes, randomInt } from "node:crypto";

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

const FACE_DIGITS = 36;
const FACE_NUMBERS = FACE_DIGITS ** 5;

/** What the host's ends of all task networks of one owner are called first, and nobody else's; rules know tasks by it. */
export function facePrefix(ownerId: string): string {
  return `t${createHash("sha256").update(ownerId).digest("hex").slice(0, 8)}-`;
}

/** A new name for the bridge of a task network; at 15 characters as long as the kernel allows. */
export function faceName(ownerId: string): string {
  return facePrefix(ownerId) + randomInt(FACE_NUMBERS).toString(FACE_DIGITS).padStart(5, "0");
}
