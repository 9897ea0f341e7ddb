import type { ArtifactStore } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { LocalStoreOptions } from "./local/open-local-store.ts";
import { openLocalStore } from "./local/open-local-store.ts";
import type { StoreLocation } from "./parse-store-uri.ts";
import { parseStoreUri } from "./parse-store-uri.ts";
import type { S3StoreOptions } from "./s3/open-s3-store.ts";
import { quietLibrary } from "./s3/quiet-library.ts";

export interface ArtifactStoreOptions {
  /** The setting that the URI was read from, for errors. */
  readonly setting: string;
  readonly local?: LocalStoreOptions;
  readonly s3?: S3StoreOptions;
}

/**
 * Opens the store that a URI names: an absolute path, `file://`, `s3://bucket/prefix`, `gs://bucket/prefix`. The libraries of a
 * cloud are loaded only for its URIs, and nothing is asked of it yet: see `ArtifactStore.check`.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID.
 */
export async function openArtifactStore(uri: string, options: ArtifactStoreOptions): Promise<ArtifactStore> {
  const location = parseStoreUri(uri, options.setting);
  switch (location.type) {
    case "local":
      return openLocalStore(location.path, options.setting, options.local);
    case "s3": {
      quietLibrary();
      const { openS3Store } = await import("./s3/open-s3-store.ts");
      return namingTheSetting(openS3Store(location, options.s3), location, options.setting);
    }
    case "gcs": {
      const { openGcsStore } = await import("./gcs/open-gcs-store.ts");
      return namingTheSetting(await openGcsStore(location, options.setting), location, options.setting);
    }
  }
}

/** How the reason begins where a cloud knows who asks, and refuses. */
const REFUSED = /^403\b/;

/**
 * A store knows no settings. Where a cloud refuses for good, its check says by which one it was named; and where the cloud knows who
 * asks, whether a bucket was: a root without one is asked for all buckets, which is refused to many who may use one of them.
 */
function namingTheSetting(
  store: ArtifactStore,
  { bucket }: Extract<StoreLocation, { readonly bucket: unknown }>,
  setting: string,
): ArtifactStore {
  return {
    ...store,
    async check(signal) {
      try {
        await store.check(signal);
      } catch (thrown) {
        if (!(thrown instanceof ExecutorError) || thrown.spec.retry === "later") throw thrown;
        const { code, facts } = thrown;
        const { reason } = facts;
        const advice = `it names no bucket, so that all buckets are asked for; name one: ${store.name}bucket`;
        const isRefused = REFUSED.test(String(reason));
        const told = bucket === undefined && isRefused ? `${String(reason)}; ${advice}` : reason;
        throw new ExecutorError(code, { ...facts, reason: told, setting }, { cause: thrown });
      }
    },
  };
}
