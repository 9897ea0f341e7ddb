export { openDockerDriver } from "./open-docker-driver.ts";
export type { DockerDriverOptions, EngineTls, Reach } from "./options.ts";
