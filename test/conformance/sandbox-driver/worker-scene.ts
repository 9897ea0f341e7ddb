import { connect } from "node:net";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { SandboxDriver, WorkerSandbox, WorkerSpec } from "../../../src/core/index.ts";
import { asId } from "../../../src/core/index.ts";
import { freshName } from "../../support/fresh-name.ts";
import { poll } from "../../support/poll.ts";
import type { JobHarness, SandboxDriverHarness } from "./harness.ts";
import { freshId, neverAborted, SMALL } from "./scene.ts";

/** Answers every connection with a line: what it was told, and what `WORD` is. `$2` is the port at which it is to listen. */
export const ANSWER = 'echo up; exec busybox nc -ll -p "$2" -e sh -c "echo word $WORD"';

export interface WorkerOptions extends Partial<Omit<WorkerSpec, "sandboxId" | "mark" | "image">> {
  readonly signal?: AbortSignal;
  /** Default: the scene's own. */
  readonly driver?: SandboxDriver;
}

/** The suite's hands for workers: every worker it started is removed after each test. */
export interface WorkerScene {
  readonly harness: SandboxDriverHarness;
  readonly driver: SandboxDriver;
  /** Starts a shell script, which gets the host and the port to listen on. */
  start(script: string, options?: WorkerOptions): Promise<WorkerSandbox>;
  /** Leaves a worker to somebody else. */
  release(worker: WorkerSandbox): void;
  output(worker: WorkerSandbox): Promise<string>;
  /** Resolves once nothing of this owner is left outside of the driver; rejects with what there still is. */
  untilNothingRemains(): Promise<void>;
}

/** Registers the hooks that open and close the harness; the returned scene is usable inside tests only. */
export function useWorkerScene(openHarness: () => Promise<SandboxDriverHarness>): WorkerScene {
  let opened: SandboxDriverHarness | undefined;
  const started: WorkerSandbox[] = [];
  const harness = (): SandboxDriverHarness => {
    if (opened === undefined) throw new Error("the harness is open inside tests only");
    return opened;
  };

  beforeAll(async () => {
    opened = await openHarness();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((worker) => worker.remove()));
  });
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });

  return {
    get harness() {
      return harness();
    },
    get driver() {
      return harness().driver;
    },
    async start(script, { signal = neverAborted(), driver = harness().driver, ...changes } = {}) {
      const spec = { ...(await workerSpec(driver, harness().jobs, script)), ...changes };
      const worker = await driver.startWorker(spec, signal);
      started.push(worker);
      return worker;
    },
    release(worker) {
      const index = started.indexOf(worker);
      if (index >= 0) started.splice(index, 1);
    },
    output: async (worker) => (await worker.tailLog(65_536, neverAborted())).text,
    async untilNothingRemains() {
      await poll("nothing of this owner remains", async () => {
        const left = await harness().remains();
        return left.length === 0 ? true : `still there: ${left.join(", ")}`;
      });
    },
  };
}

/** A spec with a fresh sandbox id for a shell script. */
export async function workerSpec(
  driver: SandboxDriver,
  { image: jobImage }: Pick<JobHarness, "image">,
  script: string,
): Promise<WorkerSpec> {
  const asked = driver.workersNeedImage ? jobImage : "sh";
  const image = driver.workersNeedImage
    ? await driver.resolve(asked, { refresh: "missing" }, neverAborted())
    : undefined;
  return {
    sandboxId: asId<"sandbox">(freshId()),
    mark: { jobId: freshName("worker"), attempt: 1 },
    purpose: "function",
    task: { image: asked, isolation: "default", resources: SMALL, sgx: false, network: "default" },
    image,
    gpuIds: [],
    command: (listen) => ["sh", "-c", script, "worker", ...listen.split(":")],
    environment: { WORD: "said" },
    binds: [],
    labels: {},
    user: undefined,
    pidsLimit: undefined,
  };
}

/** What comes of one connection; rejects when there is none. */
export function hear({ endpoint: { host, port } }: Pick<WorkerSandbox, "endpoint">): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect({ host, port, timeout: 5_000 });
    socket.on("data", (chunk) => {
      text += chunk.toString("utf8");
    });
    socket.on("timeout", () => socket.destroy(new Error("it says nothing")));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

/** The same once somebody listens there. */
export async function heard(worker: WorkerSandbox): Promise<string> {
  let text = "";
  await poll("it answers", async () => {
    try {
      text = await hear(worker);
      return text !== "" || "nothing came";
    } catch (error) {
      return String(error);
    }
  });
  return text;
}
