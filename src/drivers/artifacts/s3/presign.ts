import { GetObjectCommand, UploadPartCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type { PresigningStore } from "../../../core/index.ts";
import type { Target } from "./target.ts";
import { abortUpload, beginUpload, completeUpload } from "./write-object.ts";

/** The longest that a signature may live (AWS Signature Version 4). */
const LONGEST_S = 604_800;

const secondsOf = (lifeMs: number): number => Math.min(LONGEST_S, Math.max(1, Math.round(lifeMs / 1000)));

/** Links for those who have no credentials, each for one object and one deed. */
export function presigning(
  targetOf: (key: string) => Target,
): Pick<PresigningStore, "presignRead" | "beginUpload" | "presignPart" | "completeUpload" | "abortUpload"> {
  return {
    async presignRead(key, lifeMs) {
      const { connection, address } = targetOf(key);
      return getSignedUrl(connection.client(), new GetObjectCommand(address), {
        expiresIn: secondsOf(lifeMs),
      });
    },
    beginUpload: async (key, signal) => beginUpload(targetOf(key), signal),
    async presignPart(key, uploadId, partNumber, lifeMs) {
      const { connection, address } = targetOf(key);
      const command = new UploadPartCommand({ ...address, UploadId: uploadId, PartNumber: partNumber });
      return getSignedUrl(connection.client(), command, { expiresIn: secondsOf(lifeMs) });
    },
    completeUpload: async (key, uploadId, etags, signal) =>
      completeUpload(targetOf(key), uploadId, { etags, bytes: undefined }, signal),
    abortUpload: async (key, uploadId, signal) => abortUpload(targetOf(key), uploadId, signal),
  };
}
