import type { SandboxEnd, TaskSpec } from "../../../core/index.ts";
import { ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import { EngineError, isMissing, toExecutorError } from "../engine/engine-error.ts";
import { sgxRefused } from "../sgx/sgx-parts.ts";
import { cardsRefused } from "./gpu-request.ts";

/** The container ended before its server accepted. Never leaves the driver: `startFailure` says what it means. */
export class EndedEarly extends Error {
  override readonly name = "EndedEarly";
  readonly end: SandboxEnd;

  constructor(end: SandboxEnd) {
    super(`the container ended before it was ready: ${end.type}`);
    this.end = end;
  }
}

/** What was to be started: a sandbox, or a job. */
interface Failed {
  readonly task: TaskSpec;
  readonly gpuIds: readonly string[];
}

/** What is known when a start has failed. */
export interface FailureScene {
  readonly logTail: string;
  /** Set when the image is for other machines than the engine runs on. */
  readonly foreignArchitecture: string | undefined;
}

const CANNOT_EXECUTE = 126;
const NO_SUCH_PROGRAM = 127;
/** `docker-init` could not run the image's program: its own words, before any of the image's. */
const INIT_FAILURE = /\[FATAL\s+tini \(\d+\)\] exec (.*) failed: (.*)/;
const UNUSABLE =
  /no command specified|executable file not found|no such file or directory|permission denied|exec format error|is a directory|unable to find user|no matching entries in passwd/i;

/** The runtime's own first steps are counted to the container, and were killed: what runc before and since 1.2 says. */
const KILLED_FOR_MEMORY = /cannot start a stopped process|init was OOM-killed/i;

/** Says why a sandbox did not come up, in our codes. Errors of ours get the log's tail where it may help. */
export function startFailure(spec: Failed, thrown: unknown, scene: FailureScene): ExecutorError {
  const logTail = scene.logTail === "" ? undefined : scene.logTail;
  if (thrown instanceof EndedEarly) return earlyEnd(spec, thrown, scene);
  if (thrown instanceof ExecutorError) {
    if (thrown.code !== "START_TIMEOUT") return thrown;
    return new ExecutorError("START_TIMEOUT", { ...thrown.facts, logTail }, { cause: thrown.cause });
  }
  if (!(thrown instanceof EngineError)) return ExecutorError.from(thrown);
  return refusal(spec, thrown);
}

/** The engine would not make or start it. */
function refusal(spec: Failed, thrown: EngineError): ExecutorError {
  const { image } = spec.task;
  const general = toExecutorError(thrown);
  if (general.code === "DISK_FULL") return general;
  const { reason, verb } = thrown;
  if (verb === "create" && isMissing(thrown)) {
    return new ExecutorError(
      "SANDBOX_START_FAILED",
      { image, reason: "its image was removed meanwhile" },
      { cause: thrown },
    );
  }
  const noCards = cardsRefused(spec.gpuIds, reason);
  if (noCards !== undefined) {
    return new ExecutorError("GPU_UNAVAILABLE", { image, reason: noCards }, { cause: thrown });
  }
  const noSgx = sgxRefused(spec.task.sgx, reason);
  if (noSgx !== undefined)
    return new ExecutorError("SGX_UNAVAILABLE", { image, reason: noSgx }, { cause: thrown });
  if (KILLED_FOR_MEMORY.test(reason)) {
    const mb = Math.round(spec.task.resources.memoryBytes / MEBIBYTE);
    const why = `its memory of ${mb} MB is too little for a container to start in`;
    return new ExecutorError("SANDBOX_START_FAILED", { image, reason: why }, { cause: thrown });
  }
  if (UNUSABLE.test(reason)) return new ExecutorError("IMAGE_UNUSABLE", { image, reason }, { cause: thrown });
  // An engine blames a start on itself also when the image's program is at fault; everything else is its own doing.
  if (thrown.status >= (verb === "start" ? 501 : 500)) return general;
  return new ExecutorError("SANDBOX_START_FAILED", { image, reason }, { cause: thrown });
}

function earlyEnd(spec: Failed, thrown: EndedEarly, scene: FailureScene): ExecutorError {
  const { image } = spec.task;
  const { end } = thrown;
  const logTail = scene.logTail === "" ? undefined : scene.logTail;
  if (end.type === "lost" || end.type === "stopped") {
    return new ExecutorError("SANDBOX_START_FAILED", { image, reason: "it was removed while it started" });
  }
  if (end.type === "memory") {
    const reason = `it needed more memory than its ${Math.round(end.limitBytes / MEBIBYTE)} MB`;
    return new ExecutorError("SANDBOX_EXITED_EARLY", { image, reason, logTail });
  }
  if (end.type === "signalled") {
    return new ExecutorError("SANDBOX_EXITED_EARLY", { image, signal: end.signal, logTail });
  }
  const why = unusableReason(end.exitCode, scene);
  if (why !== undefined)
    return new ExecutorError("IMAGE_UNUSABLE", { image, reason: why, exitCode: end.exitCode, logTail });
  return new ExecutorError("SANDBOX_EXITED_EARLY", { image, exitCode: end.exitCode, logTail });
}

/** A sentence if the image itself cannot run here; `undefined` if its program ran and chose to end. */
function unusableReason(
  exitCode: number,
  { logTail, foreignArchitecture }: FailureScene,
): string | undefined {
  const init = INIT_FAILURE.exec(logTail);
  if (init !== null && foreignArchitecture !== undefined) {
    return `it is made for ${foreignArchitecture}, which this host does not run`;
  }
  if (init !== null) return `its program ${init[1] ?? ""} cannot be executed: ${init[2] ?? ""}`;
  if (exitCode === NO_SUCH_PROGRAM) return "its program does not exist";
  if (exitCode === CANNOT_EXECUTE) return "its program cannot be executed";
  return undefined;
}
