import type { ClassReport, IsolationClass, TaskSpec } from "../../../core/index.ts";
import { ExecutorError, isolationRefusal, MEBIBYTE, sgxConflict, withSgx } from "../../../core/index.ts";
import type { ConfiguredClass, RuntimeName } from "../isolation/configured-class.ts";
import type { SgxParts } from "../sgx/sgx-parts.ts";
import { MIN_CPU_MILLIS, MIN_MEMORY_BYTES } from "./body.ts";
import { refuseCardsIn } from "./gpu-request.ts";

/** What a task's class comes to in an engine's words. */
export interface IsolationPlan {
  /** The class that the sandbox reaches. */
  readonly isolation: IsolationClass;
  /** `undefined`: the engine's own default. */
  readonly runtime: RuntimeName | undefined;
  /** What it is given for SGX; `undefined` for every task that did not ask for it. */
  readonly sgx?: SgxParts;
  /** What the class's proof rests on: `ClassBook.confirm` compares it. */
  readonly proof?: object | undefined;
}

/**
 * Decides in which class a task runs: never a weaker one than it asks for. Whether that class keeps its promise here is for
 * its probe to say.
 *
 * @param reports why what is not there is not there, for the error.
 * @param sgxParts what the host gives SGX tasks; throws what is missing.
 * @throws {@link ExecutorError} SGX_UNAVAILABLE, GPU_UNAVAILABLE, ISOLATION_UNAVAILABLE; INPUT_INVALID that names `mem` or
 * `cpu` below what engines accept.
 */
export function planIsolation(
  task: TaskSpec,
  classes: readonly ConfiguredClass[],
  reports: readonly ClassReport[] = [],
  sgxParts: () => SgxParts = noSgx,
): IsolationPlan {
  const { isolation, sgx } = withSgx(task);
  const { resources } = task;
  const conflict = sgxConflict({ ...task, isolation, sgx });
  if (conflict !== undefined) throw conflict;
  const parts = sgx ? sgxParts() : undefined;
  // A process class is a floor that a container is above; an enclave runs in a container.
  const wanted = isolation === "default" || isolation === "process" ? "container" : isolation;
  const found = classes.find((one) => one.isolation === wanted);
  if (found === undefined) throw isolationRefusal(wanted, reports);
  refuseCardsIn(found.isolation, resources.gpuCount);
  if (resources.memoryBytes < MIN_MEMORY_BYTES) {
    const reason = `mem must be at least ${MIN_MEMORY_BYTES / MEBIBYTE} MB for a container`;
    throw new ExecutorError("INPUT_INVALID", { field: "mem", reason });
  }
  // To an engine none means all of them.
  if (resources.cpuMillis < MIN_CPU_MILLIS) {
    const reason = `cpu must be at least ${MIN_CPU_MILLIS / 1000} for a container`;
    throw new ExecutorError("INPUT_INVALID", { field: "cpu", reason });
  }
  if (parts !== undefined) return { isolation: "sgx", runtime: found.runtime, sgx: parts };
  return { isolation: found.isolation, runtime: found.runtime };
}

function noSgx(): never {
  throw new ExecutorError("SGX_UNAVAILABLE", { reason: "sgx.enable is off" });
}
