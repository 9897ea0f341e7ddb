import { randomBytes } from "node:crypto";

/** A name that nothing else on this host has. */
export function freshName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString("hex")}`;
}
