import { connect } from "node:net";
import type { Endpoint } from "../../../core/index.ts";
import { sleep } from "../../../std/index.ts";

/** An answer to a connect takes microseconds on a host; a lost one would otherwise be asked again by the kernel after 1 s only. */
const CONNECT_TIMEOUT_MS = 250;
/** How long an accepted connection must stay open where a proxy accepts before the task does. */
const HOLD_MS = 60;

export interface ProbeOptions {
  /** Whether something else accepts on the task's behalf and hangs up when the task does not. */
  readonly isProxied: boolean;
}

/** Whether the task's server accepts a connection now. Never rejects; always closes the connection. */
export function accepts(endpoint: Endpoint, { isProxied }: ProbeOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: endpoint.host, port: endpoint.port });
    let timer = setTimeout(() => settle(false), CONNECT_TIMEOUT_MS);
    const settle = (isOpen: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isOpen);
    };
    socket.on("connect", () => {
      if (!isProxied) return settle(true);
      clearTimeout(timer);
      timer = setTimeout(() => settle(true), HOLD_MS);
    });
    socket.on("error", () => settle(false));
    socket.on("close", () => settle(false));
    socket.resume();
  });
}

/** Eager while most starts end, then ever calmer: age of the wait in milliseconds, pause between two probes. */
const PACE = [
  [300, 1],
  [2000, 5],
  [Number.POSITIVE_INFINITY, 25],
] as const;

/** Resolves once the port accepts; rejects with the signal's reason. */
export async function untilAccepts(
  endpoint: Endpoint,
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<void> {
  const begunMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    if (await accepts(endpoint, options)) return;
    const ageMs = performance.now() - begunMs;
    await sleep(PACE.find(([untilMs]) => ageMs < untilMs)?.[1] ?? 25, signal);
  }
}

/** Between two probes of a port that accepts. */
const STEADY_PAUSE_MS = 100;

/**
 * Resolves once the port has accepted each probe for this long; rejects with the signal's reason. Probes are counted, because in
 * a time in which this machine stood still nobody has looked.
 */
export async function acceptsFor(
  endpoint: Endpoint,
  options: ProbeOptions,
  steadyMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (let leftMs = steadyMs; leftMs > 0; ) {
    await sleep(STEADY_PAUSE_MS, signal);
    if (await accepts(endpoint, options)) leftMs -= STEADY_PAUSE_MS;
    else {
      await untilAccepts(endpoint, options, signal);
      leftMs = steadyMs;
    }
  }
}
