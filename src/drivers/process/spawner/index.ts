export type { SpawnedProcess } from "./spawner.ts";
export { SELF_PATH, Spawner } from "./spawner.ts";
export type { NetworkEntrance, SpawnRequest, Tree } from "./wire.ts";
export { MOST_VIEWS } from "./wire.ts";
