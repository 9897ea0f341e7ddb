import type { Attestation as AttestationBody, Session } from "../contract/v1/sessions.ts";
import type { CallInput } from "./call.ts";
import { HearthError } from "./error.ts";
import { json } from "./transport.ts";

/** Whose evidence is wanted. SGX is meant unless `sgx` is `false`. */
export type AttestInput = Pick<
  CallInput,
  | "cpu"
  | "mem"
  | "gpus"
  | "gpuMemory"
  | "isolation"
  | "sgx"
  | "path"
  | "queueTimeoutMs"
  | "runTimeoutMs"
  | "signal"
> & { readonly image: string };

/** What a server says of itself, and the session in which calls reach that very server. */
export interface Attestation {
  readonly session: Session;
  readonly evidence: Uint8Array;
  readonly contentType: string | undefined;
}

/** @throws {@link HearthError} when the task answered with no success, and so opened no session. */
export async function attestationOf(response: Response): Promise<Attestation> {
  if (!response.ok) {
    const { status } = response;
    throw new HearthError("UNEXPECTED", `the task gave no evidence: it answered with status ${status}`, {
      status,
    });
  }
  const { session, evidence } = await json<AttestationBody>(response);
  const text = atob(evidence.base64);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return { session, evidence: bytes, contentType: evidence.contentType };
}
