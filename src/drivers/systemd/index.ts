export type { ServiceManager } from "./service-manager.ts";
export { openServiceManager } from "./service-manager.ts";
