import type { IsolationClass } from "./isolation.ts";
import type { NetworkPolicy } from "./network-policy.ts";
import type { TaskResources } from "./resources.ts";

/** What a caller asked for, checked and with every default filled in. */
export interface TaskSpec {
  /** The id as asked: an image reference for `docker`, the id of a task folder for `process`. */
  readonly image: string;
  /** `default` stands for the driver's own class; a name is a floor. */
  readonly isolation: IsolationClass | "default";
  readonly resources: TaskResources;
  readonly sgx: boolean;
  /** What it may reach at most; `default` stands for the operator's setting. */
  readonly network: NetworkPolicy | "default";
}
