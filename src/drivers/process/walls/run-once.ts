import { ExecutorError } from "../../../core/index.ts";
import { orAbort } from "../../../std/index.ts";
import { killAll } from "../cgroup/cgroup.ts";
import type { Spawner } from "../spawner/index.ts";
import type { LaunchedTask, LaunchOptions, TaskExit } from "../task/launch.ts";
import { launch } from "../task/launch.ts";
import { OOM_SCORE, OPEN_FILES } from "./limits.ts";

const SAID_BYTES = 500;

/** Runs a program of ours to its end, in no cgroup. @throws {@link ExecutorError} ENGINE_FAILED with what it said; the signal's reason. */
export async function runOnce(
  spawner: Spawner,
  { argv, ...wish }: Pick<LaunchOptions, "argv" | "network" | "users" | "leaderKind">,
  signal: AbortSignal,
): Promise<void> {
  const limits = { joinFiles: [], openFiles: OPEN_FILES, oomScore: OOM_SCORE };
  await untilDone(await launch(spawner, { argv, folder: "/", ...limits, ...wish }), signal);
}

/** Waits for the end of a program of ours. @throws {@link ExecutorError} ENGINE_FAILED with what it said; the signal's reason. */
export async function untilDone(launched: LaunchedTask, signal: AbortSignal): Promise<void> {
  try {
    const exit = await orAbort(launched.exited, signal);
    await orAbort(launched.drained, signal);
    if (exit.type === "exited" && exit.exitCode === 0) return;
    const said = launched.ring.tail(SAID_BYTES).text.trim().split("\n").at(-1);
    throw new ExecutorError("ENGINE_FAILED", { reason: said || howItEnded(exit) });
  } catch (error) {
    if (signal.aborted) killAll([launched.leader], "SIGKILL");
    throw error;
  } finally {
    launched.closeOutput();
  }
}

function howItEnded(exit: TaskExit): string {
  switch (exit.type) {
    case "exited":
      return `exit code ${exit.exitCode}`;
    case "signalled":
      return exit.signal;
    case "lost":
      return "the program that starts tasks has ended";
  }
}
