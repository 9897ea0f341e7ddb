import type { Endpoint, NetworkPolicy } from "../../../core/index.ts";
import type { Subnet } from "./subnets.ts";

/** A bridge network of ours with nothing in it yet. */
export interface TaskNetwork {
  readonly id: string;
  readonly name: string;
  readonly subnet: Subnet;
  /** What who is in it may reach; its addresses say the same. */
  readonly policy: NetworkPolicy;
}

/** A task network with a sleeping container in it, whose network a task joins at its start. */
export interface NetworkSandbox {
  /** The sleeping container's. */
  readonly containerId: string;
  readonly name: string;
  readonly network: TaskNetwork;
  /** Where the task's server will answer. */
  readonly endpoint: Endpoint;
  /** The image that has run in it; only the same one may run in it again. */
  readonly usedBy: string | undefined;
}
