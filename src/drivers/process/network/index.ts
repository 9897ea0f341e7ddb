export type { OpenedNetworks } from "./open-networks.ts";
export { openNetworks, TASK_PORT } from "./open-networks.ts";
export { sweepNetworks } from "./sweep-networks.ts";
export type { TaskNetwork, TaskNetworks } from "./task-networks.ts";
