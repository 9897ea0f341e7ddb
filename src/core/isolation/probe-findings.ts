/** What the probe program wrote, as numbers (`src/std/probe-program/probe.c` says what each line means). */
export interface ProbeFindings {
  /** Release and version; `undefined` if it never came so far. */
  readonly kernel: string | undefined;
  readonly privilege: { readonly isFlagSet: boolean; readonly uid: number } | undefined;
  /** The effective uid that a setuid copy ran with; `undefined` where none was run. */
  readonly gainedUid: number | undefined;
  /** `errno` 0: connected. */
  readonly connects: readonly { readonly target: string; readonly errno: number }[];
  readonly cpu:
    | {
        readonly wallUs: number;
        readonly usedUs: number;
        readonly stalledUs: number;
        readonly longestStallUs: number;
      }
    | undefined;
  readonly pids: { readonly made: number; readonly errno: number } | undefined;
  /** `how` 0: all of it was touched. */
  readonly memory: { readonly touchedBytes: number; readonly how: number } | undefined;
  /** The question under way when the sandbox ended; `undefined` when it ended by itself. */
  readonly diedAt: string | undefined;
}

type Values = Record<string, readonly number[] | undefined>;

/** Reads the program's lines. What is missing or unreadable is `undefined`; nothing is thrown. */
export function readFindings(text: string): ProbeFindings {
  const lines = text.split("\n").map((line) => line.trim().split(" "));
  const values: Values = {};
  const connects: { target: string; errno: number }[] = [];
  let kernel: string | undefined;
  let at: string | undefined;
  for (const [name = "", ...rest] of lines) {
    if (name === "kernel") kernel = rest.join(" ");
    else if (name === "connect") connects.push({ target: rest[0] ?? "", errno: Number(rest[1]) });
    else if (name === "at") at = rest[0];
    else if (name === "end") at = undefined;
    else if (rest.every((word) => /^-?\d+$/.test(word))) values[name] = rest.map(Number);
  }
  const { privilege, who, cpu, pids, memory } = values;
  return {
    kernel,
    privilege: isWhole(privilege, 2) ? { isFlagSet: privilege[0] === 1, uid: privilege[1] } : undefined,
    gainedUid: who?.[1],
    connects,
    cpu: isWhole(cpu, 4)
      ? { wallUs: cpu[0], usedUs: cpu[1], stalledUs: cpu[2], longestStallUs: cpu[3] }
      : undefined,
    pids: isWhole(pids, 2) ? { made: pids[0], errno: pids[1] } : undefined,
    memory: isWhole(memory, 2) ? { touchedBytes: memory[0], how: memory[1] } : undefined,
    diedAt: at,
  };
}

function isWhole(
  values: readonly number[] | undefined,
  count: number,
): values is readonly [number, number, number, number] {
  return values !== undefined && values.length >= count;
}
