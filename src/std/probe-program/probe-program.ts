import { PROBE_BYTES } from "./bytes.ts";

export type ProbeArchitecture = keyof typeof PROBE_BYTES;

/** What a test sandbox is asked, in this order; what may end it comes last. */
export interface ProbeQuestions {
  /** A setuid copy of the program inside the sandbox. */
  readonly setuidCopy?: string;
  /** `address:port` each, IPv4; at most 32. */
  readonly targets: readonly string[];
}

/**
 * What a test sandbox is given. Less CPU than a task gets by default, so that a spin of one thread runs into it, and no less than
 * a virtual machine needs to begin in time; the memory of a usual task, since runtimes need some of it themselves.
 */
export const PROBE_CPU_MILLIS = 300;
export const PROBE_MEMORY_BYTES = 128 * 1_048_576;
/** What it tries to take. */
const SPIN_MS = 350;
const TOUCHED_BYTES = PROBE_MEMORY_BYTES + 16 * 1_048_576;
const MOST_TARGETS = 32;

/** Whether there is a program for a machine, as engines call it. */
export function isProbeArchitecture(architecture: string): architecture is ProbeArchitecture {
  return Object.hasOwn(PROBE_BYTES, architecture);
}

/** The program as a file: static, of some 3 KB, without a library. What it writes is read by `readFindings`. */
export function probeProgram(architecture: ProbeArchitecture): Buffer {
  return Buffer.from(PROBE_BYTES[architecture], "base64");
}

/** The program's arguments. @param processLimit how many processes the sandbox may have; it tries to make more. */
export function probeArguments({ setuidCopy = "", targets }: ProbeQuestions, processLimit: number): string[] {
  return [
    ...targets.slice(0, MOST_TARGETS).map((target) => `connect=${target}`),
    "kernel",
    `privilege=${setuidCopy}`,
    `cpu=${SPIN_MS}`,
    `pids=${processLimit + 16}`,
    `memory=${TOUCHED_BYTES}`,
  ];
}
