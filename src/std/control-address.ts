import { networkInterfaces } from "node:os";

/**
 * The address by which others reach the container we run in: the IPv4 address of its first network. Networks that it joins
 * later have interfaces with higher names.
 */
export function controlAddress(): string | undefined {
  const outward = Object.entries(networkInterfaces())
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal);
  return outward[0]?.address;
}
