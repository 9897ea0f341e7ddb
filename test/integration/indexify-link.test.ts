import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { NO_INDEXIFY_OBSERVER } from "../../src/core/index.ts";
import { type Report, ReportQueue } from "../../src/doors/indexify/link/report-queue.ts";
import { LINK_TIMES, type LinkOptions, ServerLink } from "../../src/doors/indexify/link/server-link.ts";
import type { AllocationLogEntry, Command } from "../../src/gen/executor_api_pb.js";
import {
  AllocationFailureReason,
  AllocationLogEntrySchema,
  AllocationOutcomeSchema,
  ExecutorStatus,
} from "../../src/gen/executor_api_pb.js";
import { openChannel } from "../../src/std/grpc/open-channel.ts";
import { Scope, systemClock } from "../../src/std/index.ts";
import { silentLog } from "../../src/telemetry/silent-log.ts";
import { DoubleServer } from "../support/indexify/double-server.ts";
import { poll } from "../support/poll.ts";

/** Waits for state to come. */
const until = (holds: () => boolean): Promise<void> => poll(holds.toString(), () => holds() || "not yet");

const TIMES: LinkOptions["times"] = {
  ...LINK_TIMES,
  heartbeatMs: 200,
  // Longer than a machine stands still: what was taken and answered too late would be sent again.
  heartbeatDeadlineMs: 60_000,
  heartbeatRetry: { firstMs: 50, maxMs: 200 },
  pollRetry: { firstMs: 50, maxMs: 200 },
  pollDeadlineMs: 60_000,
};

const RESOURCES = { cpuCount: 2, memoryBytes: 1n, diskBytes: 1n };

interface TestLink extends AsyncDisposable {
  readonly link: ServerLink;
  readonly reports: ReportQueue;
  readonly commands: Command[];
  readonly results: AllocationLogEntry[];
  readonly dropped: Report[];
  /** Ends the link and leaves its connection. */
  stop(): Promise<void>;
}

function startLink(
  server: DoubleServer,
  over: Partial<LinkOptions> = {},
  maxReceiveBytes = 32 * 1024 * 1024,
): TestLink {
  const scope = new Scope();
  const commands: Command[] = [];
  const results: AllocationLogEntry[] = [];
  const dropped: Report[] = [];
  const channel = scope.use(
    openChannel({
      address: server.address,
      tls: undefined,
      maxSendBytes: 32 * 1024 * 1024,
      maxReceiveBytes,
      keepalive: undefined,
      reconnect: { firstMs: 50, maxMs: 200 },
    }),
  );
  const reports = new ReportQueue({
    fragmentBytes: 2_000,
    limit: 1_000,
    journal: { add: () => undefined, remove: () => undefined },
    kept: [],
    onDropped: (report) => dropped.push(report),
    onAdded: () => link.nudge(),
  });
  const link = new ServerLink({
    channel,
    executorId: "host-1",
    reports,
    clock: systemClock,
    log: silentLog,
    observer: NO_INDEXIFY_OBSERVER,
    times: TIMES,
    fullState: () => ({ hostname: "h", version: "1", totalContainerResources: RESOURCES }),
    onCommand: (command) => {
      commands.push(command);
      return true;
    },
    onResult: (entry) => results.push(entry),
    ...over,
  });
  const running = scope.use(new Scope());
  running.spawn((signal) => link.run(signal));
  return {
    link,
    reports,
    commands,
    results,
    dropped,
    stop: () => running[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await scope[Symbol.asyncDispose]();
    },
  };
}

const failed = (allocationId: string): Report => ({
  type: "outcome",
  message: create(AllocationOutcomeSchema, {
    outcome: {
      case: "failed",
      value: {
        ...{ allocationId, functionCallId: "call", requestId: "request" },
        function: { namespace: "n", applicationName: "a", functionName: "f" },
        reason: AllocationFailureReason.FUNCTION_ERROR,
      },
    },
  }),
});

const entryOf = (allocationId: string, root: string): Report => ({
  type: "entry",
  message: create(AllocationLogEntrySchema, {
    allocationId,
    entry: {
      case: "callFunction",
      value: {
        ...{ namespace: "n".repeat(300), application: "a" },
        ...{ requestId: "request", sourceFunctionCallId: "call" },
        updates: { rootFunctionCallId: root },
      },
    },
  }),
});

const kill = (allocationId: string) => ({ case: "killAllocation" as const, value: { allocationId } });
const names = (commands: readonly Command[]): readonly string[] =>
  commands.map(({ command }) => (command.case === "killAllocation" ? command.value.allocationId : "?"));
const isReady = (link: TestLink) => until(() => link.link.state.type === "ready");

test("X11: registers with its full state when the server asks, and then takes commands and results in order", async () => {
  await using server = new DoubleServer();
  await server.start();
  await using link = startLink(server);
  await isReady(link);
  expect(server.heartbeats[0]?.fullState).toBeUndefined();
  expect(server.executor("host-1").state?.totalContainerResources).toMatchObject(RESOURCES);
  for (const id of ["a", "b", "c"]) server.send("host-1", kill(id));
  server.sendResult("host-1", create(AllocationLogEntrySchema, { allocationId: "a" }));
  await until(() => link.commands.length === 3 && link.results.length === 1);
  expect(names(link.commands)).toEqual(["a", "b", "c"]);
  server.send("host-1", kill("d"));
  await until(() => link.commands.length === 4);
  expect(server.violations).toEqual([]);
});

test("X11, G4: what comes twice is applied once, and a missing number is answered with a full state", async () => {
  await using server = new DoubleServer();
  await server.start();
  server.misbehaviour.repeatsCommands = true;
  await using link = startLink(server);
  await isReady(link);
  server.send("host-1", kill("a"));
  server.send("host-1", kill("b"));
  await until(() => link.commands.length === 2);
  server.misbehaviour.skipsCommand = 3n;
  server.send("host-1", kill("lost"));
  server.send("host-1", kill("after"));
  await until(() => server.executor("host-1").registrations === 2);
  server.misbehaviour.skipsCommand = undefined;
  // The server emits anew what it still wants, counting from 1.
  server.send("host-1", kill("again"));
  await until(() => link.commands.length === 3);
  expect(names(link.commands)).toEqual(["a", "b", "again"]);
  expect(server.violations).toEqual([]);
});

test("X3, X11: a server that went away and forgot everything gets the state and every report again", async () => {
  await using server = new DoubleServer();
  await server.start();
  await using link = startLink(server);
  await isReady(link);
  server.stop(false);
  await until(() => link.link.state.type === "unhealthy");
  link.reports.add(failed("x"));
  link.reports.add(failed("y"));
  await server.start();
  await until(() => server.executors.get("host-1")?.outcomes.size === 2);
  await until(() => link.reports.isEmpty);
  expect(server.executor("host-1").outcomes.get("x")).toHaveLength(1);
  expect(link.link.state.type).toBe("ready");
  expect(server.violations).toEqual([]);
});

test("a server that remembers is not sent the state again, and goes on with its numbers", async () => {
  await using server = new DoubleServer();
  await server.start();
  await using link = startLink(server);
  await isReady(link);
  server.send("host-1", kill("a"));
  await until(() => link.commands.length === 1);
  server.stop(true);
  await until(() => link.link.state.type === "unhealthy");
  await server.start();
  server.send("host-1", kill("b"));
  await until(() => link.commands.length === 2);
  expect(server.executor("host-1").registrations).toBe(1);
  expect(server.violations).toEqual([]);
});

test("both streams are counted anew after a full state, also where the heartbeat that first brought it failed", async () => {
  await using server = new DoubleServer();
  await server.start();
  await using link = startLink(server);
  await isReady(link);
  for (const id of ["a", "b"]) server.send("host-1", kill(id));
  for (const id of ["r", "s"])
    server.sendResult("host-1", create(AllocationLogEntrySchema, { allocationId: id }));
  await until(() => link.commands.length === 2 && link.results.length === 2);
  server.misbehaviour.failsFullStates = 2;
  server.forget("host-1");
  await until(() => server.misbehaviour.failsFullStates === 0 && server.executors.has("host-1"));
  server.send("host-1", kill("c"));
  server.sendResult("host-1", create(AllocationLogEntrySchema, { allocationId: "t" }));
  await until(() => link.commands.length === 3 && link.results.length === 3);
  expect(names(link.commands)).toEqual(["a", "b", "c"]);
  expect(link.results.map(({ allocationId }) => allocationId)).toEqual(["r", "s", "t"]);
  expect(server.violations).toEqual([]);
});

test("a command or a result that is too large to be received is given up alone, and not asked for without end", async () => {
  await using server = new DoubleServer();
  await server.start();
  const refused: unknown[] = [];
  const log: LinkOptions["log"] = {
    ...silentLog,
    log: (level, event, facts) => {
      if (event === "indexify.command-refused") refused.push([level, facts]);
    },
  };
  await using link = startLink(server, { log }, 64 * 1024);
  await isReady(link);
  const large = "x".repeat(100_000);
  server.sendResult("host-1", create(AllocationLogEntrySchema, { allocationId: large }));
  server.sendResult("host-1", create(AllocationLogEntrySchema, { allocationId: "after" }));
  server.send("host-1", kill("before"));
  await until(() => link.commands.length === 1);
  for (const id of [large, "after"]) server.send("host-1", kill(id));
  await until(() => link.commands.length === 2 && link.results.length === 1);
  expect(names(link.commands)).toEqual(["before", "after"]);
  expect(link.results.map(({ allocationId }) => allocationId)).toEqual(["after"]);
  expect(refused).toHaveLength(2);
  expect(refused).toContainEqual(["error", expect.objectContaining({ stream: "commands", seq: "2" })]);
  expect(server.executor("host-1").registrations).toBe(1);
  expect(server.violations).toEqual([]);
});

test("many reports go in fragments, an outcome never before the log entries of its allocation", async () => {
  await using server = new DoubleServer();
  await server.start();
  await using link = startLink(server);
  await isReady(link);
  for (let index = 0; index < 30; index += 1) {
    link.reports.add(failed(`other-${index}`));
    for (let of = 0; of < 10; of += 1) link.reports.add(entryOf(`a-${index}`, `child-${of}`));
    link.reports.add(failed(`a-${index}`));
  }
  await until(() => link.reports.isEmpty);
  const executor = server.executor("host-1");
  expect(executor.entries).toHaveLength(300);
  expect(executor.outcomes.size).toBe(60);
  expect(server.heartbeats.length).toBeGreaterThan(30);
  expect(server.violations).toEqual([]);
});

test("a report that the server chokes on is found and given up, and the others arrive", async () => {
  await using server = new DoubleServer();
  await server.start();
  server.misbehaviour.chokesOn = "poison";
  await using link = startLink(server);
  await isReady(link);
  for (const id of ["a", "b", "poison", "c"]) link.reports.add(failed(id));
  await until(() => link.reports.isEmpty);
  const { outcomes } = server.executor("host-1");
  expect([...outcomes.keys()].sort()).toEqual(["a", "b", "c"]);
  link.reports.add(failed("later"));
  await until(() => outcomes.has("later"));
  expect(link.link.state.type).toBe("ready");
});

test("G5: with a fifth of all calls failing and slow answers, every report arrives and every command is applied once", async () => {
  await using server = new DoubleServer();
  await server.start();
  await using link = startLink(server);
  await isReady(link);
  Object.assign(server.misbehaviour, { failsShare: 0.2, delayMs: 10 });
  for (let index = 0; index < 40; index += 1) {
    link.reports.add(failed(`a-${index}`));
    server.send("host-1", kill(`k-${index}`));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(() => link.reports.isEmpty && link.commands.length === 40);
  expect(names(link.commands)).toEqual(Array.from({ length: 40 }, (_, index) => `k-${index}`));
  expect(server.executor("host-1").outcomes.size).toBe(40);
  expect(server.violations).toEqual([]);
});

test("after the signal nothing leaves but the farewell", async () => {
  await using server = new DoubleServer();
  await server.start();
  // So long that no heartbeat is on its way when it stops.
  await using link = startLink(server, { times: { ...TIMES, heartbeatMs: 600_000 } });
  await isReady(link);
  await link.stop();
  const before = server.heartbeats.length;
  link.reports.add(failed("late"));
  await link.link.sayFarewell();
  expect(server.heartbeats.slice(before).map(({ status }) => status)).toEqual([ExecutorStatus.STOPPED]);
  expect(server.executors.has("host-1")).toBe(false);
});
