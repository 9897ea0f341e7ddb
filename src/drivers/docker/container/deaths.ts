import { addAbortSignal } from "node:stream";
import type { Log, SandboxEnd } from "../../../core/index.ts";
import { backoffMs, sleep } from "../../../std/index.ts";
import type { ContainerFacts } from "../engine/containers.ts";
import type { Engine } from "../engine/engine.ts";
import { isMissing } from "../engine/engine-error.ts";
import { isRecord, jsonLines } from "../engine/json-lines.ts";
import { wasKilledForMemory } from "./kernel-log.ts";
import { endedByItself, readPastEvents } from "./past-death.ts";
import { looksLikeEngineEnd, mayBeMemory, sandboxEnd } from "./sandbox-end.ts";

/** A container whose end somebody wants to know. */
export interface Watch {
  /** Resolves once, when its code no longer runs; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  /** Stops watching; `ended` may then stay open. */
  forget(): void;
}

interface Watched {
  readonly memoryLimitBytes: number;
  readonly end: (end: SandboxEnd) => void;
  wasOutOfMemory: boolean;
}

const RECONNECT = { firstMs: 50, maxMs: 2000 } as const;
/**
 * An engine answers a request for events before it begins to listen for them (20.10 sends the head first): a death in that
 * moment is in no list that we took at once, and in no event. So there is a second look when it listens for sure.
 */
const SECOND_LOOK_MS = 1000;
/**
 * An engine learns on different ways that memory ran out and that the container has ended: the cause may come behind its effect, and it
 * may not come at all, which is why the kernel is asked then.
 */
const MEMORY_NEWS_MS = 200;
/** How long an engine may take to tell what it remembers. */
const PAST_MS = 10_000;

/**
 * Notices deaths by the engine's events, not by asking. When the stream of events breaks it is opened again, and what ended
 * meanwhile is found by a list.
 *
 *     connected ──(stream ends)──► lost ──(backoff, opened, listed)──► connected
 */
export class Deaths {
  readonly #engine: Engine;
  readonly #ownerLabel: string;
  readonly #log: Log | undefined;
  readonly #watched = new Map<string, Watched>();
  readonly #onRegained: () => void;
  readonly #askKernel: typeof wasKilledForMemory;

  /**
   * @param onRegained called after the engine had been away: what the driver keeps in it may be gone.
   * @param askKernel stands in for the kernel's log.
   */
  constructor(
    engine: Engine,
    ownerLabel: string,
    log: Log | undefined,
    onRegained: () => void,
    askKernel = wasKilledForMemory,
  ) {
    this.#engine = engine;
    this.#ownerLabel = ownerLabel;
    this.#log = log;
    this.#onRegained = onRegained;
    this.#askKernel = askKernel;
  }

  /** Must be called before the container may end: before it starts, or before it is inspected. */
  watch(containerId: string, memoryLimitBytes: number): Watch {
    let end: (end: SandboxEnd) => void = () => undefined;
    const ended = new Promise<SandboxEnd>((resolve) => {
      end = resolve;
    });
    this.#watched.set(containerId, { memoryLimitBytes, end, wasOutOfMemory: false });
    return { ended, forget: () => this.#watched.delete(containerId) };
  }

  /** Follows the events until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    let failures = 0;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      try {
        const wasLost = failures > 0;
        await this.#followOnce(signal, wasLost, () => {
          failures = 0;
        });
      } catch (error) {
        if (isOver()) return;
        if (failures === 0) this.#log?.log("warn", "driver.lost", { driver: "docker", error });
      }
      failures += 1;
      await sleep(backoffMs(RECONNECT, failures, Math.random()), signal);
    }
  }

  async #followOnce(signal: AbortSignal, wasLost: boolean, onConnected: () => void): Promise<void> {
    const stream = await this.#engine.openEvents(this.#ownerLabel, signal);
    const onAbort = (): void => {
      stream.destroy();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const over = new AbortController();
    const secondLook = this.#lookLater(over.signal);
    try {
      // What ended while nobody listened; what ends from here on is in the stream.
      await this.#catchUp();
      if (wasLost) {
        this.#log?.log("info", "driver.regained", { driver: "docker" });
        this.#onRegained();
      }
      onConnected();
      for await (const event of jsonLines(stream)) this.#onEvent(event);
      throw new Error("the engine closed the stream of events");
    } finally {
      signal.removeEventListener("abort", onAbort);
      stream.destroy();
      over.abort(new Error("the stream of events is over"));
      await secondLook;
    }
  }

  async #lookLater(signal: AbortSignal): Promise<void> {
    try {
      await sleep(SECOND_LOOK_MS, signal);
      await this.#catchUp(signal);
    } catch {
      // The stream is over, and the next one is looked after anew; or the engine fails, and the stream will show it.
    }
  }

  #onEvent(event: Readonly<Record<string, unknown>>): void {
    const actor = event["Actor"];
    if (!isRecord(actor) || typeof actor["ID"] !== "string") return;
    const watched = this.#watched.get(actor["ID"]);
    if (watched === undefined) return;
    const action = event["Action"];
    if (action === "oom") watched.wasOutOfMemory = true;
    else if (action === "destroy") this.#settle(actor["ID"], { type: "lost" });
    else if (action === "die") {
      const attributes = isRecord(actor["Attributes"]) ? actor["Attributes"] : {};
      const exitCode = Number(attributes["exitCode"] ?? Number.NaN);
      // Never rejects: what cannot be asked any more is itself an answer.
      this.#onDeath(actor["ID"], watched, Number.isInteger(exitCode) ? exitCode : -1).catch(() => undefined);
    }
  }

  /** The event tells the code; only the container itself tells whether memory ran out or somebody is removing it. */
  async #onDeath(containerId: string, watched: Watched, exitCode: number): Promise<void> {
    try {
      const facts = await this.#engine.containers.inspect(containerId);
      const isRemoved = facts.status === "removing" || facts.status === "dead";
      if (isRemoved) {
        this.#settle(containerId, { type: "lost" });
        return;
      }
      let wasOutOfMemory = watched.wasOutOfMemory || facts.wasOutOfMemory;
      if (!wasOutOfMemory && mayBeMemory(exitCode)) {
        await sleep(MEMORY_NEWS_MS);
        wasOutOfMemory = watched.wasOutOfMemory || (await this.#askKernel(containerId));
      }
      this.#settle(
        containerId,
        sandboxEnd({ exitCode, wasOutOfMemory, memoryLimitBytes: watched.memoryLimitBytes }),
      );
    } catch (error) {
      // Removed by somebody else already, or the engine itself is going down and took the container with it.
      const isGone = isMissing(error) || looksLikeEngineEnd(exitCode);
      const { wasOutOfMemory, memoryLimitBytes } = watched;
      this.#settle(
        containerId,
        isGone ? { type: "lost" } : sandboxEnd({ exitCode, wasOutOfMemory, memoryLimitBytes }),
      );
    }
  }

  #settle(containerId: string, end: SandboxEnd): void {
    const watched = this.#watched.get(containerId);
    this.#watched.delete(containerId);
    watched?.end(end);
  }

  async #catchUp(signal?: AbortSignal): Promise<void> {
    if (this.#watched.size === 0) return;
    const known = [...this.#watched.keys()];
    const rows = new Map(
      (await this.#engine.containers.list([this.#ownerLabel], { signal })).map((row) => [row.id, row]),
    );
    for (const containerId of known) {
      const watched = this.#watched.get(containerId);
      const row = rows.get(containerId);
      if (
        watched === undefined ||
        row?.state === "created" ||
        row?.state === "running" ||
        row?.state === "paused"
      )
        continue;
      if (row === undefined) this.#settle(containerId, { type: "lost" });
      else await this.#catchUpWith(containerId, watched);
    }
  }

  async #catchUpWith(containerId: string, watched: Watched): Promise<void> {
    const facts = await this.#engine.containers.inspect(containerId);
    this.#settle(containerId, await unseenEnd(this.#engine, facts, watched.memoryLimitBytes));
  }
}

/** The end of a container that nobody saw end: the engine's own doing if it looks like that, and the engine knows nothing else. */
export async function unseenEnd(
  engine: Pick<Engine, "openPastEvents">,
  { id, exitCode, wasOutOfMemory }: Pick<ContainerFacts, "id" | "exitCode" | "wasOutOfMemory">,
  memoryLimitBytes: number,
  signal?: AbortSignal,
): Promise<SandboxEnd> {
  const end = sandboxEnd({ exitCode, wasOutOfMemory, memoryLimitBytes });
  if (end.type === "memory" || !looksLikeEngineEnd(exitCode)) return end;
  return (await isOwnEnd(engine, id, signal)) ? end : { type: "lost" };
}

async function isOwnEnd(
  engine: Pick<Engine, "openPastEvents">,
  containerId: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const events = await engine.openPastEvents(signal);
    const bound = AbortSignal.timeout(PAST_MS);
    return endedByItself(await readPastEvents(addAbortSignal(bound, events)), containerId);
  } catch {
    // It cannot be known: what may have been the engine's doing is tried again.
    return false;
  }
}
