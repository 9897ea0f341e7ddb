import { ExecutorError } from "../errors.ts";
import type { TaskSpec } from "./task-spec.ts";

type Words = Pick<TaskSpec, "isolation" | "sgx">;

/**
 * The one form of a wish for SGX, whichever of its words it came in: the flag, the class `sgx`, or both. An enclave runs in a
 * container, so a floor of `container` is met. Any other class beside the flag stays as it is, for {@link sgxConflict} to refuse.
 */
export function withSgx({ isolation, sgx }: Words): Words {
  const isMeant = sgx || isolation === "sgx";
  const isPlain = isolation === "default" || isolation === "container" || isolation === "sgx";
  return isMeant && isPlain ? { isolation: "default", sgx: true } : { isolation, sgx };
}

/**
 * What no host can do: an enclave together with another class, or with GPUs. Neither is chosen silently.
 *
 * @returns the refusal, which names both; `undefined` when there is no conflict.
 */
export function sgxConflict({ isolation, sgx, resources }: TaskSpec): ExecutorError | undefined {
  if (!sgx) return undefined;
  if (isolation !== "default") {
    const reason = `a task runs with SGX or in the class ${isolation}, not both`;
    return new ExecutorError("SGX_UNAVAILABLE", { reason, isolation });
  }
  const { gpuCount } = resources;
  if (gpuCount === 0) return undefined;
  return new ExecutorError("SGX_UNAVAILABLE", {
    reason: "a task gets SGX or GPUs, not both",
    gpuCount,
  });
}
