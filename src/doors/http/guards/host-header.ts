import { isIP } from "node:net";

/**
 * Whether a `Host` header names this daemon: an address, `localhost`, or a configured name. A page that rebinds its own
 * name to our address is told apart by this, since its requests carry that name.
 *
 * @param names lower-case.
 */
export function isKnownHost(header: string, names: ReadonlySet<string>): boolean {
  const name = nameOf(header);
  if (name === undefined) return false;
  return isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost") || names.has(name);
}

/** The host without its port, brackets and final dot, in lower case. */
function nameOf(header: string): string | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(header);
  if (match === null) return undefined;
  return (match[1] ?? match[2] ?? "").toLowerCase().replace(/\.$/, "");
}
