export type { BlobStoreOptions } from "./blobs/open-blob-store.ts";
export { openBlobStore } from "./blobs/open-blob-store.ts";
export type { ArtifactStoreOptions } from "./open-artifact-store.ts";
// The stores of the clouds are not named here: whoever imports this would load their libraries.
export { openArtifactStore } from "./open-artifact-store.ts";
