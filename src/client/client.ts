import type { Run, RunList, RunListInput } from "../contract/v1/calls.ts";
import type { Config, ConfigChanged, ConfigPatch } from "../contract/v1/config.ts";
import type { Access, HostEvent, Live } from "../contract/v1/events.ts";
import type { ExplainWish, Verdict } from "../contract/v1/explain.ts";
import type { Controlled, Host, Stats } from "../contract/v1/host.ts";
import type { PrefetchEvent, Prefetched, TaskList } from "../contract/v1/images.ts";
import type { JobDetail, JobList } from "../contract/v1/jobs.ts";
import type { DeadLetters, Fleet, Queue, Replayed, ReplayRequest } from "../contract/v1/queue.ts";
import type { Receipt, ReceiptKey } from "../contract/v1/receipts.ts";
import type { LogChunk, LogTail, SandboxDetail, SandboxList, WaitingList } from "../contract/v1/sandboxes.ts";
import type { Session, SessionList } from "../contract/v1/sessions.ts";
import type { Attestation, AttestInput } from "./attest.ts";
import { attestationOf } from "./attest.ts";
import type { CallAnswer, CallInput, CallStream } from "./call.ts";
import { answerOf, headersOf, queryOf, streamOf } from "./call.ts";
import { HearthError } from "./error.ts";
import { readJsonEvents, readJsonLines, readLines } from "./json-lines.ts";
import type { ClientOptions, Outgoing } from "./transport.ts";
import { json, send } from "./transport.ts";

/** Every method takes a signal; once it aborts the method rejects with the signal's reason. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** Which runs are wanted; what is left out is not looked at. */
export type RunWish = {
  readonly [K in keyof RunListInput]?: (K extends "limit" ? number : RunListInput[K]) | undefined;
};

const NDJSON = { accept: "application/x-ndjson" };
const SSE = { accept: "text/event-stream" };

/**
 * A Hearth daemon's `/v1` API. Needs nothing but `fetch`, so it works in Node and in browsers. Rejects with {@link HearthError};
 * a task that answers with a status that is no success is an answer, not an error.
 */
export class HearthClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Calls a task and waits for its whole answer. */
  async call(call: CallInput): Promise<CallAnswer> {
    return answerOf(await this.#call(call));
  }

  /** Calls a task; resolves at the head of its answer, whose body is still to be read or cancelled. */
  async callStream(call: CallInput): Promise<CallStream> {
    return streamOf(await this.#call(call));
  }

  /** Starts a call that goes on without us; see `run`, `followRun` and `answer`. */
  async callAsync(call: CallInput): Promise<Run> {
    return json(await this.#call(call, "respond-async"));
  }

  /** Has a task's server attest itself and opens a session with it; `call` takes the session's id. */
  async attest({ signal, ...query }: AttestInput): Promise<Attestation> {
    const headers = { accept: "application/json" };
    const path = "/v1/attest";
    return attestationOf(await this.#send({ method: "POST", path, query, headers, signal }));
  }

  /** What keeps sandboxes from others; ids are their owners' alone and not in it. */
  sessions(options: Abortable = {}): Promise<SessionList> {
    return this.#get("/v1/sessions", options);
  }

  session(sessionId: string, options: Abortable = {}): Promise<Session> {
    return this.#get(`/v1/sessions/${segment(sessionId)}`, options);
  }

  async endSession(sessionId: string, { signal }: Abortable = {}): Promise<void> {
    await this.#send({ method: "DELETE", path: `/v1/sessions/${segment(sessionId)}`, signal });
  }

  /** What would become of a call if it came now; nothing is changed by asking. */
  explain({ signal, ...wish }: ExplainWish & Abortable): Promise<Verdict> {
    return this.#json({ method: "POST", path: "/v1/explain", json: wish, signal });
  }

  /** Runs of every door: those under way, then the last ended first. `after` is `next` of the page before. */
  runs({ signal, ...query }: Abortable & RunWish = {}): Promise<RunList> {
    return this.#get("/v1/runs", { query, signal });
  }

  run(runId: string, options: Abortable = {}): Promise<Run> {
    return this.#get(`/v1/runs/${segment(runId)}`, options);
  }

  /** The run's entry in the signed chain, with what proves it by itself. */
  receipt(runId: string, options: Abortable = {}): Promise<Receipt> {
    return this.#get(`/v1/runs/${segment(runId)}/receipt`, options);
  }

  /** Who signs. It proves nothing if it comes from the one whose receipts are doubted. */
  receiptKey(options: Abortable = {}): Promise<ReceiptKey> {
    return this.#get("/v1/receipts/key", options);
  }

  /** The chain of receipts as text, line by line without the line ends; `from` and `to` name entries by their `seq`. */
  async *receipts({
    from,
    to,
    signal,
  }: Abortable & {
    readonly from?: number | undefined;
    readonly to?: number | undefined;
  } = {}): AsyncGenerator<string, void, undefined> {
    const query = { from, to };
    yield* readLines(
      await this.#send({ method: "GET", path: "/v1/receipts", query, headers: NDJSON, signal }),
    );
  }

  /** The run each time it changes; the last one has ended. */
  async *followRun(runId: string, { signal }: Abortable = {}): AsyncGenerator<Run, void, undefined> {
    const path = `/v1/runs/${segment(runId)}/events`;
    yield* readJsonLines<Run>(await this.#send({ method: "GET", path, headers: NDJSON, signal }));
  }

  /** What a recorded call was answered; rejects with the run's own error if it was not. */
  async answer(runId: string, { signal }: Abortable = {}): Promise<CallAnswer> {
    return answerOf(await this.#send({ method: "GET", path: `/v1/runs/${segment(runId)}/answer`, signal }));
  }

  /** Safe to repeat; shows how the run has ended. */
  cancelRun(runId: string, { signal }: Abortable = {}): Promise<Run> {
    return this.#json({ method: "DELETE", path: `/v1/runs/${segment(runId)}`, signal });
  }

  sandboxes(options: Abortable = {}): Promise<SandboxList> {
    return this.#get("/v1/sandboxes", options);
  }

  sandbox(sandboxId: string, options: Abortable = {}): Promise<SandboxDetail> {
    return this.#get(`/v1/sandboxes/${segment(sandboxId)}`, options);
  }

  /** Removes a warm sandbox; with `force` also one that has calls running. */
  async evict(
    sandboxId: string,
    { force, signal }: Abortable & { readonly force?: boolean | undefined } = {},
  ): Promise<void> {
    await this.#send({
      method: "DELETE",
      path: `/v1/sandboxes/${segment(sandboxId)}`,
      query: { force },
      signal,
    });
  }

  /** The end of what a sandbox printed. */
  logs(
    sandboxId: string,
    { tailBytes, signal }: Abortable & { readonly tailBytes?: number | undefined } = {},
  ): Promise<LogTail> {
    return this.#get(`/v1/sandboxes/${segment(sandboxId)}/logs`, { query: { tailBytes }, signal });
  }

  /** The end of what a sandbox printed, then what comes, until it ends. */
  async *followLogs(
    sandboxId: string,
    { tailBytes, signal }: Abortable & { readonly tailBytes?: number | undefined } = {},
  ): AsyncGenerator<LogChunk, void, undefined> {
    const path = `/v1/sandboxes/${segment(sandboxId)}/logs`;
    const query = { tailBytes, follow: true };
    yield* readJsonLines<LogChunk>(await this.#send({ method: "GET", path, query, headers: NDJSON, signal }));
  }

  /** The jobs that hold room on this host. */
  jobs(options: Abortable = {}): Promise<JobList> {
    return this.#get("/v1/jobs", options);
  }

  /** @param jobId the job's, or its sandbox's. */
  job(jobId: string, options: Abortable = {}): Promise<JobDetail> {
    return this.#get(`/v1/jobs/${segment(jobId)}`, options);
  }

  waiting(options: Abortable = {}): Promise<WaitingList> {
    return this.#get("/v1/waiting", options);
  }

  /** Fetches an image, or what its tag names now. */
  async prefetch(
    image: string,
    {
      onProgress,
      signal,
    }: Abortable & {
      readonly onProgress?: (progress: Extract<PrefetchEvent, { type: "pulling" }>) => void;
    } = {},
  ): Promise<Prefetched> {
    const path = "/v1/images/prefetch";
    const response = await this.#send({ method: "POST", path, json: { image }, headers: NDJSON, signal });
    for await (const event of readJsonLines<PrefetchEvent>(response)) {
      if (event.type === "pulling") onProgress?.(event);
      else if (event.type === "failed") throw HearthError.fromProblem(event.problem);
      else return { digest: event.digest, wasPulled: event.wasPulled, retired: event.retired };
    }
    throw new HearthError("UNEXPECTED", "the prefetch broke off without a result");
  }

  /** Where this host takes jobs from, and those that it holds. */
  queue(options: Abortable = {}): Promise<Queue> {
    return this.#get("/v1/queue", options);
  }

  /** Jobs that were put aside because they cannot be run, the oldest first. */
  deadJobs({
    limit,
    signal,
  }: Abortable & { readonly limit?: number | undefined } = {}): Promise<DeadLetters> {
    return this.#get("/v1/queue/dead", { query: { limit }, signal });
  }

  /** Puts dead jobs back on their streams, once each. */
  replayDeadJobs(which: ReplayRequest, { signal }: Abortable = {}): Promise<Replayed> {
    return this.#json({ method: "POST", path: "/v1/queue/replay", json: which, signal });
  }

  /** The hosts that share the queue with this one. */
  fleet(options: Abortable = {}): Promise<Fleet> {
    return this.#get("/v1/fleet", options);
  }

  tasks(options: Abortable = {}): Promise<TaskList> {
    return this.#get("/v1/tasks", options);
  }

  host(options: Abortable = {}): Promise<Host> {
    return this.#get("/v1/host", options);
  }

  /** The contract's eleven figures; unlike `/stats` also while paused. */
  stats(options: Abortable = {}): Promise<Stats> {
    return this.#get("/v1/stats", options);
  }

  config(options: Abortable = {}): Promise<Config> {
    return this.#get("/v1/config", options);
  }

  /**
   * What happens on the host, until the signal aborts or the connection breaks. To go on after a break give the last event's
   * `id` as `after`; a `gap` says that something in between is lost.
   *
   * @param options.recent without `after`: begins with at most this many events of the past.
   */
  async *events({
    after,
    recent,
    signal,
  }: Abortable & {
    readonly after?: string | undefined;
    readonly recent?: number | undefined;
  } = {}): AsyncGenerator<HostEvent, void, undefined> {
    const query = { after, recent };
    const path = "/v1/events";
    yield* readJsonLines<HostEvent>(
      await this.#send({ method: "GET", path, query, headers: NDJSON, signal }),
    );
  }

  /** The whole state of the host, then what changes, each second; until the signal aborts or the connection breaks. */
  async *live({ signal }: Abortable = {}): AsyncGenerator<Live, void, undefined> {
    const path = "/v1/live";
    yield* readJsonEvents<Live>(await this.#send({ method: "GET", path, headers: SSE, signal }));
  }

  /** What this client may do; never rejects for its token. */
  access(options: Abortable = {}): Promise<Access> {
    return this.#get("/v1/access", options);
  }

  /** Changes settings, all or none. @throws {@link HearthError} CONFIG_INVALID with every fault in `facts.faults`. */
  setConfig(patch: ConfigPatch, { signal }: Abortable = {}): Promise<ConfigChanged> {
    return this.#json({ method: "PATCH", path: "/v1/config", json: patch, signal });
  }

  /** Resolves when all is quiet or after the daemon's bounded wait, with the number of calls that still run. */
  pause(options: Abortable = {}): Promise<Controlled> {
    return this.#json({ method: "POST", path: "/v1/pause", ...options });
  }

  unpause(options: Abortable = {}): Promise<Controlled> {
    return this.#json({ method: "POST", path: "/v1/unpause", ...options });
  }

  /** Stops the daemon once its running calls have ended. */
  drain(options: Abortable = {}): Promise<Controlled> {
    return this.#json({ method: "POST", path: "/v1/drain", ...options });
  }

  /** The OpenAPI 3.1 document. */
  openapi(options: Abortable = {}): Promise<unknown> {
    return this.#get("/openapi.json", options);
  }

  /** Resolves if the daemon and its engine answer; otherwise rejects with what they lack. */
  async health({ signal }: Abortable = {}): Promise<void> {
    await this.#send({ method: "GET", path: "/health", signal });
  }

  #call(call: CallInput, prefer?: "respond-async"): Promise<Response> {
    return this.#send({
      method: "POST",
      path: "/v1/calls",
      query: queryOf(call),
      headers: headersOf(call, prefer),
      body: call.input,
      signal: call.signal,
    });
  }

  #get<T>(path: string, rest: Pick<Outgoing, "query" | "signal">): Promise<T> {
    return this.#json<T>({ method: "GET", path, headers: { accept: "application/json" }, ...rest });
  }

  async #json<T>(outgoing: Outgoing): Promise<T> {
    return json<T>(await this.#send(outgoing));
  }

  #send(outgoing: Outgoing): Promise<Response> {
    return send(this.#options, outgoing);
  }
}

function segment(id: string): string {
  return encodeURIComponent(id);
}
