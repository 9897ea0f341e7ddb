import type { ArtifactKey } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { segmentsOf } from "../check-key.ts";

/** Where a store lies; without a bucket, the first segment of each key is one. */
export interface S3Location {
  readonly bucket: string | undefined;
  readonly prefix: string;
}

export interface S3Address {
  readonly Bucket: string;
  readonly Key: string;
}

/**
 * What S3 calls the object of a key.
 *
 * @throws {@link ExecutorError} ARTIFACT_KEY_INVALID.
 */
export function addressOf({ bucket, prefix }: S3Location, key: ArtifactKey): S3Address {
  const segments = segmentsOf(key);
  const [first = "", ...rest] = bucket === undefined ? segments : [bucket, ...segments];
  if (rest.length === 0)
    throw new ExecutorError("ARTIFACT_KEY_INVALID", {
      key,
      reason: "it begins with a bucket, and names nothing in it",
    });
  return { Bucket: first, Key: [...(prefix === "" ? [] : [prefix]), ...rest].join("/") };
}
