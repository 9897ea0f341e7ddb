import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock, IndexifyObserver, Log } from "../../../core/index.ts";
import type {
  AllocationLogEntry,
  Command,
  DataplaneStateFullSyncSchema,
} from "../../../gen/executor_api_pb.js";
import { ExecutorAPI, ExecutorStatus } from "../../../gen/executor_api_pb.js";
import type { Channel } from "../../../std/grpc/open-channel.ts";
import { isRpcError, RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import { backoffMs, pause } from "../../../std/index.ts";
import { timed } from "../observe/timed.ts";
import { pollInOrder } from "./poll-in-order.ts";
import { heartbeatFields, type QueuedReport, type ReportQueue } from "./report-queue.ts";
import type { ReportedHeartbeat } from "./reported-heartbeat.ts";
import { reportedHeartbeat } from "./reported-heartbeat.ts";
import { Sequence } from "./sequence.ts";

/** The pauses and deadlines of the link; milliseconds. */
export interface LinkTimes {
  readonly heartbeatMs: number;
  readonly heartbeatDeadlineMs: number;
  readonly heartbeatRetry: { readonly firstMs: number; readonly maxMs: number };
  readonly pollRetry: { readonly firstMs: number; readonly maxMs: number };
  /** The server holds a poll this long at most; ours ends somewhat later. */
  readonly pollDeadlineMs: number;
  readonly farewellMs: number;
  /** How long a report that is not urgent waits for others to go with it. */
  readonly companyMs: number;
}

export const LINK_TIMES: LinkTimes = {
  heartbeatMs: 5_000,
  heartbeatDeadlineMs: 8_000,
  heartbeatRetry: { firstMs: 1_000, maxMs: 5_000 },
  pollRetry: { firstMs: 1_000, maxMs: 10_000 },
  pollDeadlineMs: 330_000,
  farewellMs: 3_000,
  companyMs: 100,
};

export interface LinkOptions {
  readonly channel: Channel;
  readonly executorId: string;
  readonly reports: ReportQueue;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: IndexifyObserver;
  readonly times: LinkTimes;
  /** Everything that the server should know of this host, as it is now. */
  fullState(): MessageInitShape<typeof DataplaneStateFullSyncSchema>;
  /** Hands a command over; `false` if that cannot be done now. It must not wait for what the command asks. */
  onCommand(command: Command): boolean;
  onResult(entry: AllocationLogEntry): void;
  onState?(state: LinkState): void;
}

export type LinkState =
  /** Nothing has been heard from the server yet, or it asks who we are. */
  | { readonly type: "registering"; readonly hasAnswered: boolean }
  | { readonly type: "ready" }
  | { readonly type: "unhealthy"; readonly reason: string; readonly sinceMs: number };

/**
 * What is said to reports that cannot be taken, however often they come: as the server says it, and as either side's library
 * does of a message that is too large.
 */
const REFUSALS = [
  RPC_CODES.internal,
  RPC_CODES.invalidArgument,
  RPC_CODES.resourceExhausted,
  RPC_CODES.outOfRange,
] as const;
/** So many refusals of the same batch, and it is sent again item by item. */
const REFUSALS_BEFORE_SINGLE = 3;
/** So many refusals of one item alone, and it is given up. */
const REFUSALS_OF_ONE = 2;

/**
 * The executor's side of the server's protocol: it registers, says every few seconds that it lives, brings its reports, and
 * while the server knows it takes commands and results in order (`contracts/indexify.md` 3):
 *
 *     registering ──(a heartbeat was taken, no state asked)──► ready ──(a heartbeat failed)──► unhealthy
 *          ▲                                                    │ │                               │
 *          └──────────────(the server asks for the state)───────┴─┼───────────────────────────────┤
 *                                                                 └◄────(a heartbeat was taken)───┘
 *
 * Polls run while it is ready and at no other time: an old acknowledgement after a full state would delete new commands.
 */
export class ServerLink {
  readonly #options: LinkOptions;
  readonly #commands = new Sequence();
  readonly #results = new Sequence();
  #state: LinkState = { type: "registering", hasAnswered: false };
  #owesState = false;
  #polls: { readonly controller: AbortController; readonly ended: Promise<unknown> } | undefined;
  #failures = 0;
  /** Set while a heartbeat brings one report only, to find the one that the server cannot take. */
  #isSingle = false;
  #refusals = 0;
  #wake: (() => void) | undefined;
  #isNudged = false;
  /** Set while a heartbeat is to come soon. */
  #cancelSoon: (() => void) | undefined;
  /** Since when the server has been sought; `undefined` while it answers. */
  #soughtSinceMs: number | undefined;
  #lastTaken: ReportedHeartbeat | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** The last heartbeat that the server took; `undefined` before the first. */
  get lastTaken(): ReportedHeartbeat | undefined {
    return this.#lastTaken;
  }

  /** There is something to tell: a heartbeat, or another after the one that is under way; soon, if it is not urgent. */
  nudge(isUrgent = true): void {
    if (!isUrgent) {
      const { clock, times } = this.#options;
      this.#cancelSoon ??= clock.after(times.companyMs, () => this.nudge());
      return;
    }
    this.#isNudged = true;
    this.#wake?.();
  }

  /** Runs until the signal aborts; then nothing more leaves, and nothing is taken. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.#soughtSinceMs = this.#options.clock.nowMs();
    try {
      while (!signal.aborted) await this.#beat(signal);
    } finally {
      this.#cancelSoon?.();
      await this.#stopPolls();
    }
  }

  /** Tells the server that this executor ends, so that its work goes elsewhere at once. */
  async sayFarewell(): Promise<void> {
    const { channel, executorId, times, log } = this.#options;
    try {
      await channel.call(
        ExecutorAPI.method.heartbeat,
        { executorId, status: ExecutorStatus.STOPPED },
        { deadlineMs: times.farewellMs, signal: new AbortController().signal },
      );
    } catch (error) {
      log.log("warn", "indexify.farewell", { error });
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { channel, executorId, reports, times } = this.#options;
    this.#isNudged = false;
    this.#cancelSoon?.();
    this.#cancelSoon = undefined;
    const isFull = this.#owesState;
    if (isFull) await this.#stopPolls();
    const fragment = reports.fragment(this.#isSingle ? 1 : undefined);
    const heartbeat = {
      executorId,
      status: ExecutorStatus.RUNNING,
      ...heartbeatFields(fragment),
      ...(isFull ? { fullState: this.#options.fullState() } : {}),
    };
    const limits = { deadlineMs: times.heartbeatDeadlineMs, signal };
    this.#tellSize(fragment);
    try {
      const { sendState } = await timed(this.#options, "state_report_rpc", signal, () =>
        channel.call(ExecutorAPI.method.heartbeat, heartbeat, limits),
      );
      this.#answered();
      if (sendState === true) await this.#registerAnew(isFull, signal);
      else await this.#taken(fragment, isFull, signal);
    } catch (error) {
      if (signal.aborted) return;
      await this.#failed(error, fragment, signal);
    }
  }

  #tellSize(fragment: readonly QueuedReport[]): void {
    const { reports, observer } = this.#options;
    observer.sent(
      "state_report",
      fragment.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    if (fragment.length < reports.size) observer.happened("state_report_message_fragmentations");
    if (fragment.some((report) => reports.isOversize(report)))
      observer.happened("state_report_messages_over_size_limit");
  }

  #answered(): void {
    const { observer, clock } = this.#options;
    this.#failures = 0;
    if (this.#soughtSinceMs === undefined) return;
    observer.done("grpc_server_channel_creation", clock.nowMs() - this.#soughtSinceMs, false);
    this.#soughtSinceMs = undefined;
  }

  /** The server does not know us, or believes that we have forgotten: what was reported may be lost, and is kept. */
  async #registerAnew(wasFull: boolean, signal: AbortSignal): Promise<void> {
    await this.#stopPolls();
    this.#owesState = true;
    this.#become({ type: "registering", hasAnswered: true });
    // A server that asks again and again is given time.
    if (wasFull) await this.#pause(this.#options.times.heartbeatRetry.firstMs, signal);
  }

  async #taken(fragment: readonly QueuedReport[], wasFull: boolean, signal: AbortSignal): Promise<void> {
    const { reports, times } = this.#options;
    reports.remove(fragment);
    this.#lastTaken = reportedHeartbeat(fragment, wasFull);
    this.#refusals = 0;
    if (reports.isEmpty) this.#isSingle = false;
    if (wasFull) {
      this.#owesState = false;
      this.#commands.reset();
      this.#results.reset();
    }
    this.#become({ type: "ready" });
    this.#startPolls();
    if (reports.hasUrgent || this.#isNudged) return;
    if (!reports.isEmpty) this.nudge(false);
    await this.#pause(times.heartbeatMs, signal, true);
  }

  async #failed(error: unknown, fragment: readonly QueuedReport[], signal: AbortSignal): Promise<void> {
    const { times, clock, log } = this.#options;
    await this.#stopPolls();
    this.#noteLoss(error);
    const reason = error instanceof Error ? error.message : String(error);
    const sinceMs = this.#state.type === "unhealthy" ? this.#state.sinceMs : clock.nowMs();
    if (this.#state.type !== "unhealthy") log.log("warn", "indexify.unhealthy", { reason });
    this.#become({ type: "unhealthy", reason, sinceMs });
    if (isRpcError(error, ...REFUSALS) && fragment.length > 0) this.#refused(fragment);
    this.#failures += 1;
    await this.#pause(backoffMs(times.heartbeatRetry, this.#failures, Math.random()), signal);
  }

  /** An error that the server itself gave came over a connection that works. */
  #noteLoss(error: unknown): void {
    const { observer, clock } = this.#options;
    if (!isRpcError(error, RPC_CODES.unavailable, RPC_CODES.deadlineExceeded)) return;
    if (this.#soughtSinceMs === undefined) this.#soughtSinceMs = clock.nowMs();
    else observer.happened("grpc_server_channel_creation_retries");
  }

  /** The server took what it could of these and choked on one of them. */
  #refused(fragment: readonly QueuedReport[]): void {
    this.#refusals += 1;
    if (!this.#isSingle) {
      if (this.#refusals < REFUSALS_BEFORE_SINGLE) return;
      this.#isSingle = true;
      this.#refusals = 0;
      return;
    }
    if (this.#refusals < REFUSALS_OF_ONE) return;
    this.#refusals = 0;
    this.#options.reports.remove(fragment);
    for (const { report } of fragment) {
      this.#options.log.log("error", "indexify.report-dropped", {
        type: report.type,
        reason: "the server refuses it again and again",
      });
    }
  }

  #become(state: LinkState): void {
    const isNews = this.#state.type !== state.type;
    this.#state = state;
    if (!isNews) return;
    if (state.type === "ready") this.#options.log.log("info", "indexify.ready", {});
    this.#options.onState?.(state);
  }

  #startPolls(): void {
    if (this.#polls !== undefined) return;
    const { channel, executorId, times, onCommand, onResult, log, clock, observer } = this.#options;
    observer.happened("desired_state_streams");
    const controller = new AbortController();
    const shared = {
      ...{ times, log, clock, signal: controller.signal },
      onGap: () => this.#resync(),
      onFailed: () => observer.happened("desired_state_stream_errors"),
    };
    const limits = { deadlineMs: times.pollDeadlineMs, signal: controller.signal };
    const commands = pollInOrder({
      ...shared,
      name: "commands",
      sequence: this.#commands,
      fetch: async (acked) => {
        const ack = acked === undefined ? {} : { ackedCommandSeq: acked };
        return (await channel.call(ExecutorAPI.method.poll_commands, { executorId, ...ack }, limits))
          .commands;
      },
      apply: (command) => onCommand(command),
    });
    const results = pollInOrder({
      ...shared,
      name: "results",
      sequence: this.#results,
      fetch: async (acked) => {
        const ack = acked === undefined ? {} : { ackedResultSeq: acked };
        const method = ExecutorAPI.method.poll_allocation_results;
        return (await channel.call(method, { executorId, ...ack }, limits)).results;
      },
      apply: ({ entry }) => {
        if (entry !== undefined) onResult(entry);
        return true;
      },
    });
    this.#polls = { controller, ended: Promise.all([commands, results]) };
  }

  async #stopPolls(): Promise<void> {
    const polls = this.#polls;
    if (polls === undefined) return;
    this.#polls = undefined;
    polls.controller.abort(new Error("polls stop"));
    await polls.ended;
  }

  /** Numbers are missing: only a full state makes the server count anew. */
  #resync(): void {
    this.#owesState = true;
    this.nudge();
  }

  #pause(ms: number, signal: AbortSignal, isWakeable = false): Promise<void> {
    const onWakeable = (wake: (() => void) | undefined): void => {
      this.#wake = wake;
    };
    return pause(this.#options.clock, ms, signal, isWakeable ? onWakeable : undefined);
  }
}
