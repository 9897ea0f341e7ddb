import type {
  CallRequest,
  GpuMonitor,
  HostUsage,
  LogFields,
  Observer,
  Settings,
  TaskSpec,
} from "../../src/core/index.ts";
import { asId, MEBIBYTE, NO_GPUS } from "../../src/core/index.ts";
import type { FakeDriverOptions } from "../../src/drivers/fake/fake-driver.ts";
import { FakeDriver } from "../../src/drivers/fake/fake-driver.ts";
import type { CallOptions, CallSink, Executor, Placement, SessionView } from "../../src/engine/executor.ts";
import { startExecutor } from "../../src/engine/start-executor.ts";
import { FakeChannels } from "./fake-channel.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

export const TEST_SETTINGS: Settings = {
  cpuMillis: 4000,
  memoryBytes: 4096 * MEBIBYTE,
  idleTimeoutMs: 60_000,
  hasGpu: false,
  gpuBusyPercent: 10,
  sharesGpus: false,
  gpuPollMs: 1_000,
  runtimes: [],
  slotsPerSandbox: 64,
  sandboxesPerTask: 4,
  queueLimit: 512,
  queueTimeoutMs: 30_000,
  passOverMs: 2_000,
  pullTimeoutMs: 600_000,
  startTimeoutMs: 60_000,
  runTimeoutMs: 900_000,
  stopGraceMs: 10_000,
  pauseWaitMs: 10_000,
  sessionIdleMs: 300_000,
  sessionMaxMs: 3_600_000,
  sessionLimit: 256,
  evictionOrder: "recency",
  onDisconnect: "finish",
  refreshImages: true,
  shares: {
    http: { cpuMillis: 0, memoryBytes: 0 },
    stream: { cpuMillis: 0, memoryBytes: 0 },
    indexify: { cpuMillis: 0, memoryBytes: 0 },
  },
};

export interface TestExecutor {
  readonly executor: Executor;
  readonly driver: FakeDriver;
  readonly clock: VirtualClock;
  readonly channels: FakeChannels;
  readonly events: string[];
  /** What the events said, in the same order. */
  readonly facts: (LogFields | undefined)[];
  /** What the host says of its own use from now on. */
  hostUsage: HostUsage;
}

/** An executor on a fake driver in virtual time. */
export async function testExecutor(
  settings: Partial<Settings> = {},
  options: Partial<FakeDriverOptions> = {},
  prepare: (driver: FakeDriver, clock: VirtualClock) => void = () => undefined,
  observer?: Observer,
  gpus: GpuMonitor = NO_GPUS,
  /** What the ids of its sandboxes begin with: another one for each life. */
  idPrefix = "s",
  /** Whether calls tell what they used of their sandbox. */
  measuresUse = false,
): Promise<TestExecutor> {
  const clock = new VirtualClock();
  const driver = new FakeDriver({ clock, ...options });
  prepare(driver, clock);
  const channels = new FakeChannels(clock);
  const events: string[] = [];
  const facts: (LogFields | undefined)[] = [];
  const idle: HostUsage = { cpuPercent: 0, memoryPercent: 0, memoryAvailableBytes: 8192 * MEBIBYTE };
  const parts = { driver, clock, channels, events, facts, hostUsage: idle };
  let made = 0;
  let opened = 0;
  const starting = startExecutor(
    {
      driver,
      openChannel: channels.open,
      host: {
        capacity: { cpuMillis: 8000, memoryBytes: 8192 * MEBIBYTE },
        usage: () => parts.hostUsage,
        memoryAvailableBytes: () => parts.hostUsage.memoryAvailableBytes,
      },
      gpus,
      clock,
      log: {
        log: (_level, event, fields) => {
          events.push(event);
          facts.push(fields);
        },
      },
      ...(observer === undefined ? {} : { observer }),
      measuresUse,
      settings: { ...TEST_SETTINGS, ...settings },
      isImageAllowed: (image) => image !== "forbidden",
      newSandboxId: () => asId<"sandbox">(`${idPrefix}${++made}`),
      newSessionId: () => asId<"session">(`session${++opened}`),
    },
    new AbortController().signal,
  );
  await settle();
  return Object.assign(parts, { executor: await starting });
}

export function task(image: string, cpu = 1, memoryMib = 128): TaskSpec {
  return {
    image,
    isolation: "default",
    resources: {
      cpuMillis: Math.round(cpu * 1000),
      memoryBytes: memoryMib * MEBIBYTE,
      gpuCount: 0,
      gpuMemoryBytes: 0,
    },
    sgx: false,
    network: "default",
  };
}

/** A task that asks for cards, whole ones or shares of so many MB each. */
export function gpuTask(image: string, gpuCount = 1, gpuMemoryMib = 0): TaskSpec {
  const plain = task(image, 0.1, 16);
  return {
    ...plain,
    resources: { ...plain.resources, gpuCount, gpuMemoryBytes: gpuMemoryMib * MEBIBYTE },
  };
}

export const REQUEST: CallRequest = {
  method: "POST",
  path: "/",
  contentType: "application/json",
  headers: [],
  body: Buffer.from("{}"),
};

/** One call and everything its caller heard of it. */
export interface Recorded {
  placement: Placement | undefined;
  text: string;
  status: number | undefined;
  error: Error | undefined;
  /** What it opened. */
  session: SessionView | undefined;
  /** How often it ended; anything but 1 after the end is a defect. */
  ends: number;
  cancel(): void;
}

export function record(executor: Executor, spec: TaskSpec, options: Partial<CallOptions> = {}): Recorded {
  const recorded: Recorded = {
    placement: undefined,
    text: "",
    status: undefined,
    error: undefined,
    session: undefined,
    ends: 0,
    cancel: () => exchange.cancel(),
  };
  const sink: CallSink = {
    onPlaced: (placement) => {
      recorded.placement = placement;
    },
    onSession: (session) => {
      recorded.session = session;
    },
    onHead: (head) => {
      recorded.status = head.status;
    },
    onData: (chunk) => {
      recorded.text += Buffer.from(chunk).toString();
    },
    onEnd: () => {
      recorded.ends += 1;
    },
    onError: (error) => {
      recorded.ends += 1;
      recorded.error = error;
    },
  };
  const exchange = executor.call(spec, REQUEST, { door: "http", ...options }, sink);
  return recorded;
}

/** Fills the executor with idle sandboxes, in this order. */
export async function fill(parts: TestExecutor, ...tasks: ReturnType<typeof task>[]): Promise<void> {
  for (const one of tasks) {
    record(parts.executor, one);
    await parts.clock.advance(10);
    parts.channels.calls[0]?.answer();
    await settle();
  }
}
