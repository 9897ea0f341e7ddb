import { createHash } from "node:crypto";
import type { Call } from "../calls/to-call.ts";

/** Two requests with the same fingerprint ask for the same thing: task, path, type and input. Deadlines may differ. */
export function fingerprint({ task, request, options }: Call, body: Uint8Array): string {
  const { image, isolation, resources, sgx, network } = task;
  const { cpuMillis, memoryBytes, gpuCount, gpuMemoryBytes } = resources;
  const { path, contentType } = request;
  const { session } = options;
  return createHash("sha256")
    .update(
      JSON.stringify([
        ...[image, isolation, cpuMillis, memoryBytes, gpuCount, gpuMemoryBytes, sgx, network],
        ...[path, contentType],
        ...(session?.type === "join" ? [session.sessionId] : []),
      ]),
    )
    .update(body)
    .digest("hex");
}
