import type { ServerWish, ServerWork } from "./door-options.ts";

/** One container or allocation per line. */
export function workLines({ containers, allocations }: ServerWish | ServerWork): readonly string[] {
  return [
    ...containers.map((container) => `container ${factsLine(container)}`),
    ...allocations.map((allocation) => `allocation ${factsLine(allocation)}`),
  ];
}

/** On one line, whatever the values are: some are a server's own words. */
export function factsLine(facts: object): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}=${value}`)
    .join(" ")
    .replaceAll(/\s+/g, " ");
}
