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

/** Reads the program's lines. What is missing or unreadable is `undefined`; nothing is thrown. */
export function readFindings(text: string): ProbeFindings {
  const lines = text.split("\n").map((line) => line.trim().split(" "));
  const said = (name: string): readonly string[][] =>
    lines.filter(([first]) => first === name).map(([, ...rest]) => rest);
  const kernel = said("kernel").at(-1)?.join(" ");
  const privilege = numbersIn(said("privilege"), 2);
  const cpu = numbersIn(said("cpu"), 4);
  const pids = numbersIn(said("pids"), 2);
  const memory = numbersIn(said("memory"), 2);
  const stages = lines.filter(([first]) => first === "at" || first === "end");
  return {
    kernel,
    privilege: privilege && { isFlagSet: privilege[0] === 1, uid: privilege[1] },
    gainedUid: numbersIn(said("who"), 2)?.[1],
    connects: said("connect").map(([target = "", errno]) => ({ target, errno: Number(errno) })),
    cpu: cpu && { wallUs: cpu[0], usedUs: cpu[1], stalledUs: cpu[2], longestStallUs: cpu[3] },
    pids: pids && { made: pids[0], errno: pids[1] },
    memory: memory && { touchedBytes: memory[0], how: memory[1] },
    diedAt: stages.at(-1)?.[1],
  };
}

type Four = readonly [number, number, number, number];

/** The last line of a kind that holds that many whole numbers, or more. */
function numbersIn(lines: readonly string[][], count: number): Four | undefined {
  const whole = lines.filter((words) => words.length >= count && words.every((word) => /^-?\d+$/.test(word)));
  return whole.at(-1)?.map(Number) as Four | undefined;
}
