import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { NO_INDEXIFY_OBSERVER } from "../../src/core/index.ts";
import { isUrgent, type Report, ReportQueue } from "../../src/doors/indexify/link/report-queue.ts";
import { LINK_TIMES, ServerLink } from "../../src/doors/indexify/link/server-link.ts";
import {
  AllocationFailureReason,
  AllocationOutcomeSchema,
  CommandResponseSchema,
} from "../../src/gen/executor_api_pb.js";
import { openChannel } from "../../src/std/grpc/open-channel.ts";
import { Scope, systemClock } from "../../src/std/index.ts";
import { silentLog } from "../../src/telemetry/silent-log.ts";
import { DoubleServer } from "../support/indexify/double-server.ts";
import { poll } from "../support/poll.ts";

const MESSAGE_BYTES = 32 * 1024 * 1024;
/** No heartbeat of the clock's own comes in between. */
const NEVER_MS = 600_000;

/** A link that has registered, and heartbeats that only reports bring about. */
async function openQuietLink(companyMs: number) {
  const scope = new Scope();
  const server = scope.use(new DoubleServer());
  await server.start();
  const channel = scope.use(
    openChannel({
      address: server.address,
      tls: undefined,
      maxSendBytes: MESSAGE_BYTES,
      maxReceiveBytes: MESSAGE_BYTES,
      keepalive: undefined,
      reconnect: { firstMs: 50, maxMs: 200 },
    }),
  );
  const reports = new ReportQueue({
    ...{ fragmentBytes: 1_000_000, limit: 100, kept: [] },
    journal: { add: () => undefined, remove: () => undefined },
    onDropped: () => undefined,
    onAdded: (report) => link.nudge(isUrgent(report)),
  });
  const link = new ServerLink({
    ...{ channel, reports, clock: systemClock, log: silentLog, observer: NO_INDEXIFY_OBSERVER },
    executorId: "host-1",
    times: { ...LINK_TIMES, heartbeatMs: NEVER_MS, heartbeatDeadlineMs: NEVER_MS, companyMs },
    fullState: () => ({
      ...{ hostname: "h", version: "1" },
      totalContainerResources: { cpuCount: 1, memoryBytes: 1n, diskBytes: 1n },
    }),
    onCommand: () => true,
    onResult: () => undefined,
  });
  scope.spawn((signal) => link.run(signal));
  await poll("it is known", () => link.state.type === "ready" || "not yet");
  return { server, reports, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

const scheduled = (allocationId: string): Report => ({
  type: "response",
  message: create(CommandResponseSchema, {
    commandSeq: 1n,
    response: { case: "allocationScheduled", value: { allocationId } },
  }),
});

const outcome = (allocationId: string): Report => ({
  type: "outcome",
  message: create(AllocationOutcomeSchema, {
    outcome: {
      case: "failed",
      value: {
        ...{ allocationId, functionCallId: "call", requestId: "request" },
        function: { namespace: "n", applicationName: "a", functionName: "f" },
        reason: AllocationFailureReason.OOM,
      },
    },
  }),
});

test("that an allocation was scheduled goes with its outcome: one heartbeat for both", async () => {
  await using quiet = await openQuietLink(NEVER_MS);
  const { server, reports } = quiet;
  const before = server.heartbeats.length;
  for (const id of ["a", "b"]) {
    reports.add(scheduled(id));
    reports.add(outcome(id));
    await poll("it is told", () => reports.isEmpty || "not yet");
  }
  const told = server.heartbeats.slice(before);
  expect(
    told.map(({ commandResponses, allocationOutcomes }) => [
      commandResponses.length,
      allocationOutcomes.length,
    ]),
  ).toEqual([
    [1, 1],
    [1, 1],
  ]);
  expect(server.violations).toEqual([]);
});

test("one that has no company goes alone after its time", async () => {
  await using quiet = await openQuietLink(20);
  const { server, reports } = quiet;
  const before = server.heartbeats.length;
  reports.add(scheduled("a"));
  await poll("it is told", () => reports.isEmpty || "not yet");
  reports.add(scheduled("b"));
  await poll("it is told", () => reports.isEmpty || "not yet");
  expect(server.heartbeats.length - before).toBe(2);
});
