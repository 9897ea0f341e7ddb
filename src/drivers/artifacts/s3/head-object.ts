import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { ArtifactInfo } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { Target } from "./target.ts";

/** `undefined` when there is no such object. */
export async function headObject(
  { connection, key, address }: Target,
  signal: AbortSignal,
): Promise<(ArtifactInfo & { readonly tag: string }) | undefined> {
  try {
    const head = await connection.send(key, signal, (client, inner) =>
      client.send(new HeadObjectCommand(address), { abortSignal: inner }),
    );
    return {
      bytes: head.ContentLength ?? 0,
      modifiedAtMs: head.LastModified?.getTime() ?? 0,
      tag: (head.ETag ?? "").replaceAll('"', ""),
    };
  } catch (error) {
    if (error instanceof ExecutorError && error.code === "ARTIFACT_NOT_FOUND") return undefined;
    throw error;
  }
}
