import type { ConfigEntry } from "../../contract/v1/config.ts";
import type { TaskFolder } from "../../contract/v1/images.ts";
import type { Scope } from "../../contract/v1/route.ts";
import type { HostDisk, Log, PeerAddress, ReceiptLog, RunStore, Secret } from "../../core/index.ts";
import type { TimerWheel } from "../../std/index.ts";
import type { EventFeed } from "./feed/event-feed.ts";
import type { HttpLimits } from "./limits.ts";
import type { QueueDesk } from "./queue-desk.ts";

/** Who may do what. Once there is one token, every request needs one. */
export interface AccessToken {
  /** What the log says; never the token itself. */
  readonly name: string;
  readonly token: Secret;
  readonly scopes: readonly Scope[];
}

/** A change of settings is applied as a whole, or not at all. */
export type ConfigChange =
  | { readonly isApplied: true; readonly notes: readonly string[] }
  | {
      readonly isApplied: false;
      readonly faults: readonly { readonly key: string; readonly message: string }[];
    };

/** Everything the HTTP door is given besides the executor. */
export interface HttpDoorOptions {
  /** An address or name to listen on. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Of the daemon, for `/v1/host` and the API's description. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits>;
  /** Names that `Host` may hold besides addresses and `localhost`. */
  readonly hostNames: readonly string[];
  /** Origins of web pages that may use the API. */
  readonly allowedOrigins: readonly string[];
  readonly tokens: readonly AccessToken[];
  /** Whether a connection comes from a task; then it is answered 403 and closed. */
  isTaskAddress(peer: PeerAddress): boolean;
  /** Where calls are recorded that asked for it. The caller disposes it, after the executor. */
  readonly records: RunStore;
  /** What every attempt leaves. The caller disposes it, after the executor. */
  readonly receipts: ReceiptLog;
  /** Whether the executor traces calls, and so has to hear of every caller's trace. */
  readonly isTraced?: boolean;
  /** What happens on this host: the observer of the executor that the door is opened for. */
  readonly feed: EventFeed;
  /** `undefined` where the file system does not tell. */
  readonly hostDisk?: HostDisk | undefined;
  /** The queue of jobs, where the daemon takes any. */
  readonly queue?: QueueDesk | undefined;
  /** The settings in force, secrets masked. */
  describeConfig(): readonly ConfigEntry[];
  /** Checks and applies a change; must not throw for a bad one. */
  applyConfig(patch: Readonly<Record<string, unknown>>): Promise<ConfigChange>;
  /** The task folders that the process driver knows; left out with other drivers. */
  listTasks?(): Promise<readonly TaskFolder[]>;
  /** Asked for over the API: the daemon should end. Called at most once, after the answer was sent. */
  onStop(): void;
  readonly log: Log;
  readonly wheel: TimerWheel;
}
