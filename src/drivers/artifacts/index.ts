export type { GcsStoreOptions } from "./gcs/open-gcs-store.ts";
export { openGcsStore } from "./gcs/open-gcs-store.ts";
export type { ArtifactStoreOptions } from "./open-artifact-store.ts";
export { openArtifactStore } from "./open-artifact-store.ts";
export type { S3StoreOptions } from "./s3/open-s3-store.ts";
export { openS3Store } from "./s3/open-s3-store.ts";
