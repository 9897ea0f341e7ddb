export { openDockerDriver } from "./open-docker-driver.ts";
export type { DockerDriverOptions, EngineTls, NetworkPolicy, Reach } from "./options.ts";
