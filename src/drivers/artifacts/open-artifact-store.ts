import type { ArtifactStore } from "../../core/index.ts";
import type { LocalStoreOptions } from "./local/open-local-store.ts";
import { openLocalStore } from "./local/open-local-store.ts";
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
      return openS3Store(location, options.s3);
    }
    case "gcs": {
      const { openGcsStore } = await import("./gcs/open-gcs-store.ts");
      return openGcsStore(location, options.setting);
    }
  }
}
