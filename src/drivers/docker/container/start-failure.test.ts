import { expect, test } from "vitest";
import { asId, ExecutorError, type SandboxEnd, type SandboxSpec, taskKey } from "../../../core/index.ts";
import { EngineError } from "../engine/engine-error.ts";
import { configuredClasses } from "../isolation/configured-class.ts";
import { planIsolation } from "./plan-isolation.ts";
import { EndedEarly, startFailure } from "./start-failure.ts";

const TASK = {
  image: "a/foo:1",
  isolation: "default" as const,
  resources: { cpuMillis: 500, memoryBytes: 67_108_864, gpuCount: 0, gpuMemoryBytes: 0 },
  sgx: false,
  network: "default" as const,
};
const SPEC: SandboxSpec = {
  sandboxId: asId<"sandbox">("01hearth"),
  taskKey: taskKey(TASK),
  task: TASK,
  image: { digest: "sha256:x", wasPulled: false },
  gpuIds: [],
  startTimeoutMs: 1,
};
const SCENE = { logTail: "", foreignArchitecture: undefined };
const ended = (end: SandboxEnd, logTail = "", foreignArchitecture?: string): ExecutorError =>
  startFailure(SPEC, new EndedEarly(end), { logTail, foreignArchitecture });

test.each([
  [{ type: "exited", exitCode: 1 }, "SANDBOX_EXITED_EARLY", "exitCode 1"],
  [{ type: "exited", exitCode: 0 }, "SANDBOX_EXITED_EARLY", "exitCode 0"],
  [{ type: "exited", exitCode: 127 }, "IMAGE_UNUSABLE", "does not exist"],
  [{ type: "exited", exitCode: 126 }, "IMAGE_UNUSABLE", "cannot be executed"],
  [{ type: "signalled", signal: "SIGSEGV" }, "SANDBOX_EXITED_EARLY", "SIGSEGV"],
  [{ type: "memory", limitBytes: 67_108_864 }, "SANDBOX_EXITED_EARLY", "64 MB"],
  [{ type: "lost" }, "SANDBOX_START_FAILED", "removed"],
] as const)("C10, D5: an end during the start like %j is told as %s", (end, code, words) => {
  const failure = ended(end, "last words");
  expect(failure.code).toBe(code);
  expect(failure.message).toContain(words);
  if (end.type !== "lost") expect(failure.facts["logTail"]).toBe("last words");
});

test("C10: a program that the init could not run is the image's fault, whatever the exit code", () => {
  const tail = "[FATAL tini (7)] exec /server failed: Exec format error";
  expect(ended({ type: "exited", exitCode: 1 }, tail)).toMatchObject({ code: "IMAGE_UNUSABLE" });
  expect(ended({ type: "exited", exitCode: 1 }, tail, "arm64").message).toContain("arm64");
});

test("M23: an engine that cannot hand over cards is no fault of the image", () => {
  const said = 'could not select device driver "nvidia" with capabilities: [[gpu]]';
  const failed = new EngineError("start", 500, said, undefined);
  const wanted = { ...SPEC, gpuIds: ["GPU-a"] };
  expect(startFailure(wanted, failed, SCENE)).toMatchObject({ code: "GPU_UNAVAILABLE" });
  expect(startFailure(wanted, failed, SCENE).message).toContain("NVIDIA Container Toolkit");
  const hook = new EngineError(
    "start",
    500,
    "error running hook: exit status 1: nvidia-container-cli: device error: GPU-a: unknown device: no such file or directory",
    undefined,
  );
  expect(startFailure(wanted, hook, SCENE)).toMatchObject({ code: "GPU_UNAVAILABLE" });
  expect(startFailure(SPEC, hook, SCENE).code).not.toBe("GPU_UNAVAILABLE");
});

test.each([
  [
    "start",
    400,
    'OCI runtime create failed: exec: "x": executable file not found in $PATH',
    "IMAGE_UNUSABLE",
  ],
  ["create", 400, "No command specified", "IMAGE_UNUSABLE"],
  ["start", 400, "unable to find user nobody2: no matching entries in passwd file", "IMAGE_UNUSABLE"],
  ["create", 404, "No such image: sha256:x", "SANDBOX_START_FAILED"],
  ["start", 500, "something else", "SANDBOX_START_FAILED"],
  ["start", 500, "cannot start a stopped process: unknown", "SANDBOX_START_FAILED"],
  ["create", 500, "write /x: no space left on device", "DISK_FULL"],
])("C10: when %s answers %i with %j the code is %s", (verb, status, reason, code) => {
  expect(startFailure(SPEC, new EngineError(verb, status, reason, undefined), SCENE).code).toBe(code);
});

test("a deadline that passed gets the log's tail, other errors of ours stay as they are", () => {
  const timeout = new ExecutorError("START_TIMEOUT", { image: "a/foo:1" });
  expect(startFailure(SPEC, timeout, { ...SCENE, logTail: "waiting" }).facts).toMatchObject({
    logTail: "waiting",
  });
  const lost = new ExecutorError("ENGINE_UNAVAILABLE");
  expect(startFailure(SPEC, lost, SCENE)).toBe(lost);
});

test.each([
  [{ sgx: true }, "SGX_UNAVAILABLE"],
  [{ isolation: "sgx" as const }, "SGX_UNAVAILABLE"],
  [{ isolation: "microVM" as const }, "ISOLATION_UNAVAILABLE"],
  [{ isolation: "gvisor" as const }, "ISOLATION_UNAVAILABLE"],
  [{ resources: { ...TASK.resources, memoryBytes: 6 * 1_048_576 - 1 } }, "INPUT_INVALID"],
  [{ resources: { ...TASK.resources, cpuMillis: 0 } }, "INPUT_INVALID"],
])("a task that asks for %j is refused with %s", (change, code) => {
  expect(() => planIsolation({ ...TASK, ...change }, configuredClasses({ runtimes: [] }))).toThrow(
    expect.objectContaining({ code }),
  );
});

test("M21: an engine whose host lacks the device or the folder is told apart from a task at fault", () => {
  const wanted = { ...SPEC, task: { ...TASK, sgx: true } };
  for (const [verb, status, reason] of [
    [
      "start",
      500,
      'error gathering device information while adding custom device "/dev/sgx_enclave": no such file or directory',
    ],
    ["create", 400, 'invalid mount config for type "bind": bind source path does not exist: /var/run/aesmd'],
  ] as const) {
    const said = new EngineError(verb, status, reason, undefined);
    const failure = startFailure(wanted, said, SCENE);
    expect(failure).toMatchObject({ code: "SGX_UNAVAILABLE" });
    expect(failure.message).toContain(reason);
    expect(startFailure(SPEC, said, SCENE).code).not.toBe("SGX_UNAVAILABLE");
  }
});

test("a class below a container's is a floor that a container is above", () => {
  const plan = planIsolation({ ...TASK, isolation: "process" }, configuredClasses({ runtimes: [] }));
  expect(plan.isolation).toBe("container");
});
