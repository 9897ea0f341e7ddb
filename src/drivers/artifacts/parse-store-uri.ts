import { ExecutorError } from "../../core/index.ts";

/** Where files of jobs are. Without a bucket, the first segment of each key is one. */
export type StoreLocation =
  | { readonly type: "local"; readonly path: string }
  | { readonly type: "s3"; readonly bucket: string | undefined; readonly prefix: string }
  | { readonly type: "gcs"; readonly bucket: string | undefined; readonly prefix: string };

export const BUCKET = /^[a-z0-9][a-z0-9._-]{1,221}$/;

/**
 * Reads the forms of `ARTIFACT_STORE` (executer-tracker.md, section 2.4): an absolute path, `file:///…`, `s3://bucket/prefix`
 * and `gs://bucket/prefix` (also `gcs://`), the last two also without a bucket. Nothing in them is percent-decoded.
 *
 * @param setting what it was read from, for the error.
 * @throws {@link ExecutorError} CONFIG_INVALID.
 */
export function parseStoreUri(uri: string, setting: string): StoreLocation {
  const fail = (reason: string): never => {
    throw new ExecutorError("CONFIG_INVALID", { setting, reason });
  };
  if (uri.includes("\0")) return fail("it holds a NUL");
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1]?.toLowerCase();
  const rest = scheme === undefined ? uri : uri.slice(scheme.length + 3);
  switch (scheme) {
    case undefined:
    case "file":
      if (!rest.startsWith("/")) return fail(`a path must be absolute, and ${JSON.stringify(uri)} is not`);
      return { type: "local", path: rest };
    case "s3":
      return { type: "s3", ...bucketAndPrefix(rest, fail) };
    case "gs":
    case "gcs":
      return { type: "gcs", ...bucketAndPrefix(rest, fail) };
    default:
      return fail(`there is no store for ${scheme}://; there are file://, s3:// and gs://`);
  }
}

function bucketAndPrefix(
  rest: string,
  fail: (reason: string) => never,
): { readonly bucket: string | undefined; readonly prefix: string } {
  const [bucket = "", ...folders] = rest.split("/");
  if (/[?#@\s]/.test(rest))
    fail("the name of a bucket and its folders stand alone, without user, query or blanks");
  const prefix = folders.filter((folder) => folder !== "").join("/");
  if (bucket === "" && prefix === "") return { bucket: undefined, prefix: "" };
  if (bucket === "") fail("it names folders, and before them no bucket");
  if (!BUCKET.test(bucket)) fail(`${JSON.stringify(bucket)} cannot be a bucket`);
  return { bucket, prefix };
}
