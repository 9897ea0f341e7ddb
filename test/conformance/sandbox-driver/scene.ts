import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll } from "vitest";
import type {
  ExecutorError,
  ResolvedImage,
  Sandbox,
  SandboxDriver,
  SandboxSpec,
  TaskResources,
  TaskSpec,
} from "../../../src/core/index.ts";
import { asId, MEBIBYTE, taskKey } from "../../../src/core/index.ts";
import { poll } from "../../support/poll.ts";
import type { Answer, BehaviourImages, SandboxDriverHarness } from "./harness.ts";
import { postOverHttp } from "./harness.ts";

/** Enough for a small interpreter. */
export const SMALL: TaskResources = {
  cpuMillis: 1000,
  memoryBytes: 128 * MEBIBYTE,
  gpuCount: 0,
  gpuMemoryBytes: 0,
};

type Skip = (note: string) => void;

/** The suite's hands: one open harness per file, every sandbox it started ended after each test. */
export interface Scene {
  readonly harness: SandboxDriverHarness;
  readonly driver: SandboxDriver;
  /** The image id for a behaviour; skips the test where the harness has none. */
  image(behaviour: keyof BehaviourImages, skip: Skip): string;
  start(image: string, options?: StartOptions): Promise<Sandbox>;
  /** Starts and hands back the error that this must end with. */
  startFails(image: string, options?: StartOptions): Promise<ExecutorError>;
  /** Leaves a sandbox to somebody else: the scene does not end it after the test. */
  release(sandbox: Sandbox): void;
  post(sandbox: Sandbox, body: string): Promise<Answer>;
  wait<T>(something: Promise<T>): Promise<T>;
  elapse(ms: number): Promise<void>;
  /** Resolves once the owner has nothing left outside of the driver; rejects with what there still is. */
  untilNothingRemains(): Promise<void>;
}

export interface StartOptions {
  readonly task?: Partial<TaskSpec>;
  readonly startTimeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Default: the scene's own. */
  readonly driver?: SandboxDriver;
}

/** Registers the hooks that open and close the harness; the returned scene is usable inside tests only. */
export function useScene(openHarness: () => Promise<SandboxDriverHarness>): Scene {
  let opened: SandboxDriverHarness | undefined;
  const started: Sandbox[] = [];
  const harness = (): SandboxDriverHarness => {
    if (opened === undefined) throw new Error("the harness is open inside tests only");
    return opened;
  };
  const wait = <T>(something: Promise<T>): Promise<T> => harness().wait?.(something) ?? something;

  beforeAll(async () => {
    opened = await openHarness();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((sandbox) => wait(sandbox.stop(0))));
  });
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });

  async function start(image: string, options: StartOptions = {}): Promise<Sandbox> {
    const driver = options.driver ?? harness().driver;
    const signal = options.signal ?? neverAborted();
    const resolved = await wait(driver.resolve(image, { refresh: "missing" }, neverAborted()));
    const sandbox = await wait(driver.start(specFor(image, resolved, options), signal));
    started.push(sandbox);
    return sandbox;
  }

  return {
    get harness() {
      return harness();
    },
    get driver() {
      return harness().driver;
    },
    image(behaviour, skip) {
      const image = harness().images[behaviour];
      if (image === undefined) skip(`this harness has no image for "${behaviour}"`);
      return image as string;
    },
    start,
    async startFails(image, options) {
      const outcome = await start(image, options).then(
        (sandbox) => `it started as ${sandbox.label}`,
        (error: unknown) => error as ExecutorError,
      );
      if (typeof outcome === "string") throw new Error(outcome);
      return outcome;
    },
    release(sandbox) {
      const index = started.indexOf(sandbox);
      if (index >= 0) started.splice(index, 1);
    },
    post: (sandbox, body) => wait((harness().post ?? postOverHttp)(sandbox, body)),
    wait,
    elapse: (ms) => harness().elapse?.(ms) ?? new Promise((resolve) => setTimeout(resolve, ms)),
    async untilNothingRemains() {
      await wait(
        poll("nothing of this owner remains", async () => {
          const left = await harness().remains();
          return left.length === 0 ? true : `still there: ${left.join(", ")}`;
        }),
      );
    },
  };
}

/** A spec with a fresh sandbox id. */
export function specFor(image: string, resolved: ResolvedImage, options: StartOptions = {}): SandboxSpec {
  const task: TaskSpec = {
    image,
    isolation: "default",
    resources: SMALL,
    sgx: false,
    network: "default",
    ...options.task,
  };
  return {
    sandboxId: asId<"sandbox">(freshId()),
    taskKey: taskKey(task),
    task,
    image: resolved,
    gpuIds: [],
    startTimeoutMs: options.startTimeoutMs ?? 60_000,
  };
}

export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}

export function freshId(): string {
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  return Array.from(randomBytes(26), (byte) => alphabet[byte % 32]).join("");
}
