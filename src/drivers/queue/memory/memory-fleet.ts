import type { FleetBoard, FleetHost } from "../../../core/index.ts";

/** What the boards of one process share. */
export type FleetRows = Map<string, { readonly host: FleetHost; readonly untilMs: number }>;

/** A board within this process. @param lifeMs how long a host is listed after it last said something. */
export function memoryFleet(nowMs: () => number, lifeMs: number, rows: FleetRows = new Map()): FleetBoard {
  return {
    ready: (signal) => {
      signal.throwIfAborted();
      return Promise.resolve();
    },
    publish: (host) => {
      rows.set(host.hostId, { host, untilMs: nowMs() + lifeMs });
      return Promise.resolve();
    },
    hosts: (signal) => {
      signal.throwIfAborted();
      for (const [hostId, { untilMs }] of rows) if (untilMs <= nowMs()) rows.delete(hostId);
      const hosts = [...rows.values()].map(({ host }) => host);
      return Promise.resolve(hosts.sort((a, b) => (a.hostId < b.hostId ? -1 : 1)));
    },
    withdraw: (hostId) => {
      rows.delete(hostId);
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
