export type { ConfinementPart, ProcessDriver, ProcessDriverOptions } from "./open-process-driver.ts";
export { openProcessDriver } from "./open-process-driver.ts";
export type { ProcessReach } from "./walls/reach.ts";
