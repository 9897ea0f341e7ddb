import { readFileSync } from "node:fs";
import { parseAddress } from "../../core/index.ts";

/** The second is where systemd keeps the real servers, where the first names only its own stub on loopback. */
const FILES = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/** As many as programs ask (resolv.conf(5), MAXNS). */
const MOST_SERVERS = 3;

/**
 * The IPv4 name servers of this host that can be asked from another network than its own, those on loopback left out. Empty where
 * there are none.
 */
export function hostResolvers(files: readonly string[] = FILES): readonly string[] {
  for (const file of files) {
    const servers = readServers(file).filter((address) => !address.startsWith("127."));
    if (servers.length > 0) return servers.slice(0, MOST_SERVERS);
  }
  return [];
}

function readServers(file: string): readonly string[] {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    return lines
      .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
      .filter((address) => parseAddress(address) !== undefined && !address.includes(":"));
  } catch {
    return [];
  }
}
