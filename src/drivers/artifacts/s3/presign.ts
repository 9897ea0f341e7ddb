import { GetObjectCommand, UploadPartCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type { Target } from "./target.ts";

/** The longest that a signature may live (AWS Signature Version 4). */
const LONGEST_S = 604_800;

/** A link for those who have no credentials, to read one object. Credentials that end earlier end it with them. */
export async function readLink({ connection, address }: Target, lifeMs: number): Promise<string> {
  return await getSignedUrl(connection.client(), new GetObjectCommand(address), until(lifeMs));
}

/** The same for one PUT of one part. Its answer's `ETag` is what completing needs. @param part from 1. */
export async function partLink(
  { connection, address }: Target,
  uploadId: string,
  part: number,
  lifeMs: number,
): Promise<string> {
  const command = new UploadPartCommand({ ...address, UploadId: uploadId, PartNumber: part });
  return await getSignedUrl(connection.client(), command, until(lifeMs));
}

function until(lifeMs: number): { readonly expiresIn: number } {
  return { expiresIn: Math.min(LONGEST_S, Math.max(1, Math.round(lifeMs / 1000))) };
}
