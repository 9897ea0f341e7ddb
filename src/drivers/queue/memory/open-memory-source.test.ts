import { LONG_LEASE_MS } from "../../../../test/conformance/job-source/world.ts";
import { describeJobSource } from "../../../../test/conformance/job-source.ts";
import { systemClock } from "../../../std/index.ts";
import { type FleetRows, memoryFleet } from "./memory-fleet.ts";
import { MemoryQueue } from "./memory-queue.ts";
import { openMemorySource } from "./open-memory-source.ts";

describeJobSource("memory", async (leaseMs = LONG_LEASE_MS) => {
  const clock = systemClock;
  const nowMs = (): number => clock.nowMs();
  const queue = new MemoryQueue({ nowMs, wallMs: () => clock.wallMs(), leaseMs });
  const rows: FleetRows = new Map();
  return {
    open: async (consumer) =>
      openMemorySource({ queue, streams: ["a_requests", "b_requests"], consumer, clock }),
    openFleet: async (lifeMs) => memoryFleet(nowMs, lifeMs, rows),
    add: async (stream, fields) => queue.add(stream, fields),
    delete: async (stream, entryId) => queue.delete(stream, entryId),
    send: async (jobId, message) => queue.send(jobId, message),
    events: async () => queue.events,
    held: async () => queue.entries().filter(({ owner }) => owner !== undefined).length,
    [Symbol.asyncDispose]: async () => undefined,
  };
});
