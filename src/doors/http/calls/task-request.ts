import type { CallRequest, TaskSpec } from "../../../core/index.ts";

/** The literal input that asks an SGX task for its evidence (`contracts/meca.md` section 4). */
const ATTESTATION = Buffer.from("SGXRAREQUEST");

/** Where an SGX task's server gives its evidence. */
export const EVIDENCE_PATH = "/ra";

/** Whether an input asks for remote attestation instead of being one. */
export function isAttestation(task: TaskSpec, input: CallRequest["body"]): boolean {
  return (
    task.sgx &&
    input instanceof Uint8Array &&
    input.length === ATTESTATION.length &&
    ATTESTATION.equals(input)
  );
}

/** Where a task's server takes its input. */
export function inputPath({ sgx }: TaskSpec): "/" | "/run" {
  return sgx ? "/run" : "/";
}
