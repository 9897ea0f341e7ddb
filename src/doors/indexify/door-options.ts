import type { BlobStore, Clock, Journal, Log } from "../../core/index.ts";
import type { Channel } from "../../std/grpc/open-channel.ts";
import type { ShownIndexify } from "../../telemetry/metrics/index.ts";
import type { ContainerOrder } from "./commands/orders.ts";
import type { HostFigures, ResourceOverrides } from "./host/host-resources.ts";
import type { EndedAllocation } from "./observe/record-allocations.ts";
import type { SandboxDeskOptions } from "./sandbox/sandbox-desk.ts";
import type { CodeCache } from "./worker/code-cache.ts";
import type { WorkerProcess } from "./worker/worker.ts";

/** What this host says of itself when it registers, as the operator wrote it down. */
export interface HostIntroduction {
  /** Its name on the server; the same over the lives of the daemon. */
  readonly executorId: string;
  readonly hostName: string;
  readonly version: string;
  /** `namespace:application:function[:version]`; none is every function. */
  readonly functions: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** `undefined` belongs to none. */
  readonly catalogEntry: string | undefined;
  readonly overrides: ResourceOverrides;
  /** Where the server reaches the proxy to sandboxes; `undefined` where none can run. */
  readonly proxyAddress: string | undefined;
}

/** What the host has, and what of it workers may hold; as it is now. */
export interface HostSize {
  readonly whole: HostFigures;
  readonly forWorkers: HostFigures;
}

export interface IndexifyDoorOptions {
  readonly introduction: HostIntroduction;
  /** To the server; the caller's to close, after the door. */
  readonly channel: Channel;
  readonly blobs: BlobStore;
  readonly code: Pick<CodeCache, "read">;
  /** Where reports wait for the server; the caller's to close, after the door. */
  readonly journal: Journal;
  /** How long a worker may take until it answers. */
  readonly readyMs: number;
  size(): HostSize;
  /** Resolves once `size` tells of all that there is, or when the signal aborts: the server is told of a host once. Never rejects. */
  untilSized(signal: AbortSignal): Promise<void>;
  /** Starts the program of a worker. @throws {@link ExecutorError} why there is none. */
  launch(order: ContainerOrder, signal: AbortSignal): Promise<WorkerProcess>;
  /** Starts the container of a sandbox. @throws {@link ExecutorError} why there is none. */
  launchSandbox: SandboxDeskOptions["launch"];
  /** Whether workers are asked how they are. */
  readonly checksHealth: boolean;
  /** Hears of every allocation that is over; never throws. */
  onAllocationEnd(ended: EndedAllocation): void;
  /** Where what happens here is counted, and whose metrics they are. */
  readonly metrics: Omit<ShownIndexify, "figures">;
  readonly clock: Clock;
  readonly log: Log;
}
