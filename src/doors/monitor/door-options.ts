import type { IncomingMessage, ServerResponse } from "node:http";
import type { Scope } from "../../contract/v1/route.ts";
import type { HostDisk, Log } from "../../core/index.ts";
import type { Executor } from "../../engine/executor.ts";
import type { Dashboard } from "./dashboard.ts";
import type { EngineWatch } from "./engine-watch.ts";
import type { ProvenClasses } from "./proven-classes.ts";
import type { Identity } from "./reported-state.ts";

/** What is known when the door opens: before anything else of the daemon. */
export interface MonitorDoorOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Log;
  /** The page, there from the first moment on: it says itself that the daemon starts. */
  readonly dashboard: Dashboard;
}

/** Decides who may come in: the same rules as the HTTP door's. */
export interface MonitorGuard {
  /**
   * @param options `isPage`: what is asked for is a page to look at, which links on other pages may lead to.
   * @throws {@link ExecutorError} with the first reason to turn the request away.
   */
  check(
    context: {
      readonly request: IncomingMessage;
      readonly response: ServerResponse;
      tokenName: string | undefined;
    },
    scopes: readonly Scope[],
    options?: { readonly isPage: boolean },
  ): void;
}

/** What there is to tell of once the executor takes calls. */
export interface MonitorParts {
  readonly executor: Executor;
  readonly identity: Identity;
  readonly proven: ProvenClasses;
  /** `undefined` where the file system does not tell. */
  readonly hostDisk?: HostDisk | undefined;
  readonly engine: EngineWatch;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** The doors that are on, each with what keeps it from taking work; `undefined` is nothing. */
  doors(): readonly {
    readonly name: string;
    readonly trouble: string | undefined;
    /** Whether its work comes from somewhere else, over a connection of its own, rather than from who calls this host. */
    readonly fetchesWork: boolean;
  }[];
  /** The Indexify server that has work done here; `undefined` without one. */
  readonly server: ServerLink | undefined;
  /** Milliseconds since the epoch. */
  wallMs(): number;
}

/** What an Indexify server was told, what it wants, and what of that there is (`contracts/indexify.md` section 9.1). */
export interface ServerLink {
  /** The last heartbeat that it took; `undefined` before the first. */
  readonly reported: ServerReport | undefined;
  desired(): ServerWish;
  observed(): ServerWork;
}

export interface ServerReport {
  readonly isFullState: boolean;
  readonly commandResponses: number;
  readonly allocationOutcomes: number;
  readonly allocationLogEntries: number;
  readonly bytes: number;
}

export interface ServerWish {
  readonly containers: readonly WishedContainer[];
  readonly allocations: readonly WishedAllocation[];
}

export interface ServerWork {
  readonly containers: readonly (WishedContainer & { readonly state: string; readonly reason?: string })[];
  readonly allocations: readonly (WishedAllocation & { readonly phase: string })[];
}

type WishedContainer = Readonly<Record<"id" | "function", string>>;
type WishedAllocation = Readonly<Record<"id" | "containerId" | "requestId", string>>;

/** Answers what the dashboard asks of the daemon. Asked once the guard has let the request in. */
export type Api = (request: IncomingMessage, response: ServerResponse) => void;
