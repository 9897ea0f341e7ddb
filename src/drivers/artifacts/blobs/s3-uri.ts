import { ExecutorError } from "../../../core/index.ts";
import { BUCKET } from "../parse-store-uri.ts";
import type { S3Address } from "../s3/address.ts";

export const S3_SCHEME = "s3://";

/**
 * The object that a URI names: the bucket up to the first slash, the key what follows it, word for word. A key with `.` or `..`
 * between slashes is refused: whoever follows a link to it may take them for steps, and ask for another object.
 *
 * @throws {@link ExecutorError} ARTIFACT_KEY_INVALID.
 */
export function addressOfUri(uri: string): S3Address {
  const fail = (reason: string): never => {
    throw new ExecutorError("ARTIFACT_KEY_INVALID", { key: uri, reason });
  };
  const rest = uri.slice(S3_SCHEME.length);
  const end = rest.indexOf("/");
  const Bucket = rest.slice(0, Math.max(end, 0));
  const Key = rest.slice(end + 1);
  if (!BUCKET.test(Bucket)) return fail("it does not begin with a bucket");
  if (Key === "") return fail("it names nothing in its bucket");
  if (Key.split("/").some((part) => part === "." || part === "..")) return fail("it has steps in its path");
  return { Bucket, Key };
}
