import type { EngineHealth, Live, LiveSandbox } from "../../../contract/v1/events.ts";
import { ExecutorError } from "../../../core/index.ts";
import { sleep, withDeadline } from "../../../std/index.ts";
import type { DoorParts } from "../parts.ts";
import { showHost } from "../v1/show-host.ts";
import { showJob } from "../v1/show-job.ts";
import { showSandbox, showWaiting } from "../v1/show-sandbox.ts";
import type { EventFeed } from "./event-feed.ts";
import { SandboxChanges, showLive } from "./sandbox-changes.ts";
import { tellOffer, WaitingChanges } from "./waiting-changes.ts";

const INTERVAL_MS = 1000;
/** A change that a page should show at once is waited for no longer than this, so that several make one sample. */
const SOON_MS = 50;
/** How long the looking goes on when nobody reads any more: a reader that only lost its connection misses nothing. */
const LINGER_MS = 10_000;
const HEALTH_EVERY_MS = 3000;
const HEALTH_TIMEOUT_MS = 2500;
/** Of the past, in a snapshot; and at most this many in one sample. */
const SNAPSHOT_EVENTS = 300;
/** Of the jobs, in one sample; `/v1/jobs` has all. */
const MOST_JOBS = 200;

/** What there was to see at one look. */
export interface Look {
  readonly number: number;
  readonly sample: Live;
  /** The whole state at that look. */
  snapshot(): Live;
}

type Parts = Pick<DoorParts, "executor" | "options">;

/**
 * Looks at the executor once a second, for all readers together, and only while there are any: what has no event of its own
 * (what waits and why, whether the engine answers, what the host offers) is told of by comparing with the look before.
 */
export class HostWatch implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #feed: EventFeed;
  readonly #sandboxes = new SandboxChanges();
  readonly #waiting: WaitingChanges;
  readonly #ending = new AbortController();
  readonly #lookers = new Set<() => void>();
  #watchers = 0;
  #unwatchedSinceMs = 0;
  #loop: Promise<void> | undefined;
  #look: Look | undefined;
  #told = 0;
  #wake: () => void = () => undefined;
  #engine: EngineHealth = { isHealthy: true, detail: "" };
  #healthAskedAtMs = Number.NEGATIVE_INFINITY;
  #offer = "";

  constructor(parts: Parts, feed: EventFeed) {
    this.#parts = parts;
    this.#feed = feed;
    this.#waiting = new WaitingChanges(feed.ring);
    feed.onChange(() => this.#wake());
  }

  get feed(): EventFeed {
    return this.#feed;
  }

  /** Looks from now on, until what is returned is called. */
  watch(): () => void {
    this.#watchers += 1;
    this.#loop ??= this.#run();
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      this.#watchers -= 1;
      this.#unwatchedSinceMs = performance.now();
    };
  }

  /** The newest look if it is not `seen`, else the next one; `undefined` when there will be none. */
  async next(seen: number, signal: AbortSignal): Promise<Look | undefined> {
    while ((this.#look?.number ?? 0) <= seen) {
      if (signal.aborted || this.#ending.signal.aborted) return undefined;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#lookers.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#lookers.add(done);
        signal.addEventListener("abort", done, { once: true });
      });
    }
    return this.#look;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#wake();
    await this.#loop;
    for (const done of [...this.#lookers]) done();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    this.#begin();
    while (!signal.aborted && !this.#isLeft()) {
      await this.#askHealth();
      this.#lookNow();
      await this.#pause();
    }
    this.#feed.count(false, performance.now());
    this.#look = undefined;
    // In the same turn as the last look around: whoever comes next begins a new one.
    this.#loop = undefined;
  }

  #isLeft(): boolean {
    return this.#watchers === 0 && performance.now() - this.#unwatchedSinceMs > LINGER_MS;
  }

  #begin(): void {
    this.#feed.count(true, performance.now());
    this.#sandboxes.clear();
    this.#waiting.clear();
    this.#offer = "";
    this.#told = 0;
    this.#healthAskedAtMs = Number.NEGATIVE_INFINITY;
  }

  async #pause(): Promise<void> {
    const cut = new AbortController();
    const soon = sleep(SOON_MS);
    this.#wake = () => cut.abort();
    await sleep(INTERVAL_MS, cut.signal).catch(() => soon);
    this.#wake = () => undefined;
  }

  /** Does not hold a sample up: an engine that hangs is told of when its time is over. */
  async #askHealth(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#healthAskedAtMs < HEALTH_EVERY_MS) return;
    const isFirst = this.#healthAskedAtMs === Number.NEGATIVE_INFINITY;
    this.#healthAskedAtMs = nowMs;
    const asked = this.#health().then((engine) => {
      if (engine.isHealthy !== this.#engine.isHealthy) this.#feed.ring.append({ type: "engine", ...engine });
      this.#engine = engine;
    });
    // The first look should not claim what it has not asked; a moment is enough for an engine that is well.
    if (isFirst) await Promise.race([asked, sleep(SOON_MS)]);
  }

  async #health(): Promise<EngineHealth> {
    try {
      const health = await withDeadline(
        { ms: HEALTH_TIMEOUT_MS, code: "ENGINE_UNAVAILABLE", parent: this.#ending.signal },
        (signal) => this.#parts.executor.health(signal),
      );
      return health.isHealthy ? { isHealthy: true, detail: "" } : { isHealthy: false, detail: health.reason };
    } catch (thrown) {
      return { isHealthy: false, detail: ExecutorError.from(thrown).message };
    }
  }

  #lookNow(): void {
    const { executor } = this.#parts;
    const nowMs = Date.now();
    this.#feed.flush(performance.now());
    const host = showHost(this.#parts);
    const waiting = executor.waiting().map(showWaiting);
    this.#waiting.compare(waiting);
    this.#offer = tellOffer(this.#feed.ring, this.#offer, host);
    const all = executor.sandboxes().map((view) => showLive(showSandbox(view), nowMs));
    const jobs = executor.jobs.list().slice(0, MOST_JOBS).map(showJob);
    this.#publish({ at: new Date(nowMs).toISOString(), host, engine: this.#engine, waiting, jobs }, all);
    for (const done of [...this.#lookers]) done();
  }

  #publish(
    figures: Pick<Live, "at" | "host" | "engine" | "waiting" | "jobs">,
    all: readonly LiveSandbox[],
  ): void {
    const { ring } = this.#feed;
    const number = (this.#look?.number ?? 0) + 1;
    const upTo = ring.next;
    const since = this.#told === 0 ? upTo : this.#told;
    this.#told = upTo;
    const events = (from: number): Live["events"] => {
      const first = Math.max(ring.oldest, from, upTo - SNAPSHOT_EVENTS);
      return ring.read(first, Math.max(0, upTo - first)).entries.map(({ event }) => event);
    };
    const sandboxes = this.#sandboxes.compare(all);
    let snapshot: Live | undefined;
    this.#look = {
      number,
      sample: { type: "sample", ...figures, sandboxes, events: events(since) },
      snapshot: () =>
        (snapshot ??= {
          type: "snapshot",
          ...figures,
          life: ring.life,
          intervalMs: INTERVAL_MS,
          sandboxes: [...all],
          events: events(1),
        }),
    };
  }
}
