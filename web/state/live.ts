import { batch, computed, signal } from "@preact/signals";
import type { Access, Host, HostEvent, Job, Live, LiveSandbox, WaitingCall } from "../../src/client/index.ts";
import { HearthError } from "../../src/client/index.ts";
import { daemon, token } from "./daemon.ts";
import { addBlank, addSample } from "./history.ts";

const KEPT_EVENTS = 400;
const KEPT_CALLS = 30;
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 5000;
/** A sample comes every second; silence for this long is a daemon that hangs or a network that lost it. */
const SILENCE_MS = 6000;

/** How the page stands with the daemon. */
export type Link =
  | { readonly type: "connecting" }
  | { readonly type: "open" }
  | { readonly type: "hidden" }
  | { readonly type: "refused"; readonly reason: string }
  /** Something answers there, which does not speak for the daemon yet: it starts. */
  | { readonly type: "starting" }
  /** It still answers, and only that it ends. */
  | { readonly type: "stopping" }
  | { readonly type: "lost"; readonly sinceMs: number };

export type LastCall = Extract<HostEvent, { type: "calls" }>["samples"][number] & { readonly at: string };

export const link = signal<Link>({ type: "connecting" });
export const host = signal<Host | undefined>(undefined);
export const engine = signal<Live["engine"]>({ isHealthy: true, detail: "" });
export const waiting = signal<readonly WaitingCall[]>([]);
export const jobs = signal<readonly Job[]>([]);
export const sandboxes = signal<ReadonlyMap<string, LiveSandbox>>(new Map());
export const events = signal<readonly HostEvent[]>([]);
export const access = signal<Access | undefined>(undefined);
/** A few of each second's calls, the newest first. */
export const lastCalls = signal<readonly LastCall[]>([]);
/** By the daemon's clock, so that ages are right whatever this machine's clock says. */
export const nowMs = signal(Date.now());

/** Whether this page may act, and why not. */
export const control = computed<{ readonly isAllowed: boolean; readonly reason: string }>(() => {
  if (link.value.type !== "open") return { isAllowed: false, reason: "The daemon is not connected." };
  const known = access.value;
  if (known === undefined) return { isAllowed: false, reason: "Asking what this page may do." };
  if (known.scopes.includes("control")) return { isAllowed: true, reason: "" };
  return { isAllowed: false, reason: known.reason ?? "This page may only look." };
});

/** Follows the daemon for as long as the page is open and can be seen. */
export function startLive(): void {
  let current = new AbortController();
  const restart = (): void => {
    current.abort();
    current = new AbortController();
    if (document.hidden) link.value = { type: "hidden" };
    else keepFollowing(current.signal);
  };
  document.addEventListener("visibilitychange", restart);
  // At once, and again with each other token: it may open or close the door.
  token.subscribe(restart);
}

function keepFollowing(signal: AbortSignal): void {
  follow(signal).catch((error: unknown) => {
    if (!signal.aborted) console.error(error);
  });
}

async function follow(signal: AbortSignal): Promise<void> {
  let retryMs = RETRY_MS;
  // Asked anew after each wait, which the signal may have cut short.
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    let thrown: unknown;
    try {
      await take(signal, () => {
        retryMs = RETRY_MS;
      });
    } catch (error) {
      thrown = error;
    }
    if (isOver()) return;
    lose(thrown);
    await pause(retryMs, signal);
    retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 1.5);
  }
}

/** Takes one connection's story until it breaks or falls silent; first, what this page may do. */
async function take(signal: AbortSignal, onHeard: () => void): Promise<void> {
  const connection = new AbortController();
  const giveUp = (): void => connection.abort();
  signal.addEventListener("abort", giveUp);
  let silence = setTimeout(giveUp, SILENCE_MS);
  try {
    access.value = await daemon().access({ signal: connection.signal });
    clearTimeout(silence);
    silence = setTimeout(giveUp, SILENCE_MS);
    for await (const live of daemon().live({ signal: connection.signal })) {
      clearTimeout(silence);
      silence = setTimeout(giveUp, SILENCE_MS);
      onHeard();
      batch(() => show(live));
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", giveUp);
  }
}

function addCalls(events: readonly HostEvent[]): void {
  const news = events.flatMap((event) =>
    event.type === "calls" ? event.samples.map((call) => ({ ...call, at: event.at })) : [],
  );
  if (news.length > 0) lastCalls.value = [...news.reverse(), ...lastCalls.value].slice(0, KEPT_CALLS);
}

function show(live: Live): void {
  link.value = { type: "open" };
  host.value = live.host;
  engine.value = live.engine;
  waiting.value = live.waiting;
  jobs.value = live.jobs;
  nowMs.value = Date.parse(live.at);
  addSample(live);
  if (live.type === "sample" || lastCalls.value.length === 0) addCalls(live.events);
  if (live.type === "snapshot") {
    sandboxes.value = new Map(live.sandboxes.map((sandbox) => [sandbox.id, sandbox]));
    events.value = live.events;
    return;
  }
  const { changed, gone } = live.sandboxes;
  if (changed.length > 0 || gone.length > 0) {
    const next = new Map(sandboxes.value);
    for (const sandbox of changed) next.set(sandbox.id, sandbox);
    for (const id of gone) next.delete(id);
    sandboxes.value = next;
  }
  const news = live.events.filter(({ type }) => type !== "calls");
  if (news.length > 0) events.value = [...events.value, ...news].slice(-KEPT_EVENTS);
}

/** Says why there is nothing to hear; whatever it is, it is tried again. */
function lose(thrown: unknown): void {
  const status = thrown instanceof HearthError ? thrown.status : 0;
  if (status === 401 || status === 403) {
    link.value = { type: "refused", reason: access.value?.reason ?? String(thrown) };
  } else if (thrown instanceof HearthError && thrown.code === "DRAINING") {
    link.value = { type: "stopping" };
  } else if (status > 0) {
    link.value = { type: "starting" };
  } else if (link.value.type !== "lost") {
    link.value = { type: "lost", sinceMs: Date.now() };
  }
  addBlank();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
