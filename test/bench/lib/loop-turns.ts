import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";

/** For how long at most an event loop came to no turn, in milliseconds. */
export interface LongestBlock {
  readonly wholeMs: number;
  /** Without what its thread waited for a core, which others had. */
  readonly ownMs: number;
}

/** Looks, from within, at the turns of one daemon's event loop. */
export interface LoopTurns extends AsyncDisposable {
  /** For the daemon's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Since this was last asked. */
  takeLongest(): Promise<LongestBlock>;
}

export async function openLoopTurns(): Promise<LoopTurns> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-bench-"));
  const path = join(folder, "turns");
  const inside = new URL("loop-turns.mjs", import.meta.url).href;
  return {
    env: { NODE_OPTIONS: `--import=${inside}`, BENCH_LOOP_TURNS: path },
    takeLongest: async () => (await json(connect(path))) as LongestBlock,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
