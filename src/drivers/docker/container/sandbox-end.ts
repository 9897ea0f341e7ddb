import { constants } from "node:os";
import type { SandboxEnd } from "../../../core/index.ts";

/** What is known about a container whose code no longer runs. */
export interface EndFacts {
  readonly exitCode: number;
  readonly wasOutOfMemory: boolean;
  readonly memoryLimitBytes: number;
}

/** Shells, `docker-init` and engines all tell a death by signal as 128 and the signal's number. */
const SIGNAL_BASE = 128;
const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Sorts an end by its first cause: memory, then a signal, then the exit code. */
export function sandboxEnd({ exitCode, wasOutOfMemory, memoryLimitBytes }: EndFacts): SandboxEnd {
  if (wasOutOfMemory && exitCode !== 0) return { type: "memory", limitBytes: memoryLimitBytes };
  const signal = SIGNAL_NAMES.get(exitCode - SIGNAL_BASE);
  return signal === undefined ? { type: "exited", exitCode } : { type: "signalled", signal };
}

/** Whether want of memory may have led to an end: not to a success, nor to one by a TERM that somebody has sent. */
export function mayBeMemory(exitCode: number): boolean {
  return exitCode !== 0 && exitCode !== SIGNAL_BASE + 15;
}

/** Whether an end looks like the engine's own doing when it stops or has been killed: TERM, KILL, or no code at all. */
export function looksLikeEngineEnd(exitCode: number): boolean {
  return exitCode === SIGNAL_BASE + 9 || exitCode === SIGNAL_BASE + 15 || exitCode === 255 || exitCode === -1;
}
