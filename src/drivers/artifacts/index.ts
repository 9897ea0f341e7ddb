export type { ArtifactStoreOptions } from "./open-artifact-store.ts";
export { openArtifactStore } from "./open-artifact-store.ts";
