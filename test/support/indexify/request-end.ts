import { readFile } from "node:fs/promises";
import { AllocationFailureReason, type DataPayload } from "../../../src/gen/executor_api_pb.js";
import type { RequestEnd } from "./double-scheduler.ts";

/** The user's bytes of a payload in a file, without the metadata before them. */
export async function bytesOf(payload: DataPayload | undefined): Promise<Buffer> {
  return (await wholeOf(payload)).subarray(Number(payload?.metadataSize ?? 0n));
}

/** The same with the metadata: what the payload's digest is of. */
export async function wholeOf(payload: DataPayload | undefined): Promise<Buffer> {
  if (payload?.uri === undefined) throw new Error("no payload");
  const { uri, offset = 0n, size = 0n } = payload;
  return (await readFile(uri.slice("file://".length))).subarray(Number(offset), Number(offset + size));
}

/** What a function that returns JSON has returned. @throws when it failed. */
export async function valueOf(end: RequestEnd): Promise<unknown> {
  if (end.type !== "value") throw new Error(`failed: ${reasonOf(end)}`);
  return JSON.parse((await bytesOf(end.payload)).toString());
}

/** The name of the reason that the server was given. */
export function reasonOf(end: RequestEnd): string {
  return end.type === "failed" ? AllocationFailureReason[end.failed.reason] : "no failure";
}
