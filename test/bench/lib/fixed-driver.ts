import {
  ExecutorError,
  type Sandbox,
  type SandboxDriver,
  type SandboxSpec,
} from "../../../src/core/index.ts";

/** A driver whose every sandbox is one server that runs already, so that what is measured is the way to it. */
export function fixedDriver(port: number): SandboxDriver {
  const start = (spec: SandboxSpec): Promise<Sandbox> =>
    Promise.resolve({
      id: spec.sandboxId,
      taskKey: spec.taskKey,
      task: spec.task,
      imageDigest: spec.image.digest,
      label: "fixed",
      isolation: "process",
      endpoint: { host: "127.0.0.1", port },
      phases: { createMs: 0, startMs: 0, readyMs: 0 },
      warnings: [],
      ended: new Promise(() => undefined),
      freeze: () => Promise.resolve(),
      thaw: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      usage: () => Promise.resolve({ cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined }),
      tailLog: () => Promise.resolve({ text: "", isTruncated: false }),
      followLog: () => {
        throw new ExecutorError("SANDBOX_NOT_FOUND");
      },
    });
  return {
    name: "fixed",
    capabilities: { isolation: ["process"], canFreeze: false, canAdopt: false },
    resolve: () => Promise.resolve({ digest: "fixed", wasPulled: false }),
    start,
    leftovers: () => Promise.resolve([]),
    health: () => Promise.resolve({ isHealthy: true, detail: "" }),
    isTaskAddress: () => false,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
