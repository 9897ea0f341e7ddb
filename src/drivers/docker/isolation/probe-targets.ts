import { networkInterfaces } from "node:os";
import type { Subnet } from "../network/subnets.ts";

/** Where one of the executor's own doors listens, as its socket says. */
export interface DoorAddress {
  readonly host: string;
  readonly port: number;
}

/** Hosts have many bridges; an address or two tells as much as all of them. */
const MOST_HOST_ADDRESSES = 3;
const BRIDGE = /^(br-|docker|veth|virbr|hb|hearth)/;

/** Where a task would look for the executor's doors: at its gateway, beside itself in its network, and at the host's own addresses. */
export function probeTargets(
  doors: readonly DoorAddress[],
  { gateway, daemonAddress }: Subnet,
  isOnThisHost: boolean,
): readonly string[] {
  const found = new Set<string>();
  for (const { host, port } of doors) {
    const isWild = host === "0.0.0.0" || host === "::" || host === "";
    const own = isWild ? (isOnThisHost ? hostAddresses() : []) : isIpv4(host) ? [host] : [];
    for (const address of [gateway, daemonAddress, ...own]) {
      // Inside a sandbox that is the sandbox itself.
      if (!address.startsWith("127.")) found.add(`${address}:${port}`);
    }
  }
  return [...found];
}

function hostAddresses(): readonly string[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    BRIDGE.test(name) ? [] : (addresses ?? []),
  );
  return all
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address)
    .slice(0, MOST_HOST_ADDRESSES);
}

function isIpv4(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text);
}
