import { PROBE_BYTES } from "./bytes.ts";

export type ProbeArchitecture = keyof typeof PROBE_BYTES;

/** What a test sandbox is asked, in this order; what may end it comes last. */
export interface ProbeQuestions {
  /** A setuid copy of the program inside the sandbox. */
  readonly setuidCopy?: string;
  /** `address:port` each, IPv4; at most 32. */
  readonly targets: readonly string[];
}

/** What a test sandbox is given, and what it tries to take. */
export const PROBE_CPU_MILLIS = 250;
export const PROBE_MEMORY_BYTES = 64 * 1_048_576;
const SPIN_MS = 250;
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
