import type { Sandbox, SandboxSpec } from "../../../core/index.ts";
import { ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import { withDeadline } from "../../../std/index.ts";
import { findServer } from "../folders/find-server.ts";
import type { FoundTask } from "../folders/task-folders.ts";
import { ExitedEarly, OnLoopbackOnly, PortTaken, UNMARKED_READY_MS, untilReady } from "../readiness/ready.ts";
import { READY_MARK, watchForMark } from "../readiness/ready-mark.ts";
import { refuseWhatIsNotHere } from "../refusals.ts";
import type { ProcessClass } from "../walls/process-class.ts";
import type { ProcessWorld } from "../world.ts";
import type { TaskExit } from "./launch.ts";
import { processSandbox } from "./process-sandbox.ts";
import type { SpawnedTask } from "./spawn-task.ts";
import { spawnTask } from "./spawn-task.ts";

/** How often a start is tried anew because somebody else took the port that was free a moment ago. */
const PORT_TRIES = 3;
/** How much of its log an error about a failed start quotes. */
const TAIL_BYTES = 4096;

/** Starts one sandbox; see `SandboxDriver.start` for what it promises. */
export async function startSandbox(
  world: ProcessWorld,
  isolation: ProcessClass,
  spec: SandboxSpec,
  signal: AbortSignal,
): Promise<Sandbox> {
  signal.throwIfAborted();
  refuseWhatIsNotHere(world, spec);
  await isolation.prove(signal);
  const createdAtMs = performance.now();
  const deadline = { ms: spec.startTimeoutMs, code: "START_TIMEOUT", parent: signal } as const;
  return await withDeadline(deadline, async (limited) => {
    const found = await findServer(world, spec, limited);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await startOnce(world, spec, found, createdAtMs, limited);
      } catch (error) {
        if (!(error instanceof PortTaken)) throw error;
        if (attempt < PORT_TRIES) continue;
        const reason = `other programs took its port ${attempt} times`;
        throw new ExecutorError("SANDBOX_START_FAILED", { image: spec.task.image, reason }, { cause: error });
      }
    }
  });
}

async function startOnce(
  world: ProcessWorld,
  spec: SandboxSpec,
  found: FoundTask,
  createdAtMs: number,
  signal: AbortSignal,
): Promise<Sandbox> {
  const spawned = await spawnTask(world, spec, found);
  const { launched, endpoint, isOnLoopbackOnly } = spawned;
  const spawnedAtMs = performance.now();
  const mark = watchForMark(launched.ring);
  try {
    const rule = found.task.ready;
    const { exited } = launched;
    const ready = { ...endpoint, rule, mark, exited, isOurs: spawned.isListener, isOnLoopbackOnly };
    const how = await untilReady(ready, signal);
    const readyAtMs = performance.now();
    return processSandbox(spec, spawned, {
      phases: {
        createMs: spawned.launchedAtMs - createdAtMs,
        startMs: spawnedAtMs - spawned.launchedAtMs,
        readyMs: readyAtMs - spawnedAtMs,
      },
      warnings: [...world.warnings, ...remarks(spec, found, how)],
    });
  } catch (error) {
    // Asked before the processes are gone: afterwards only a stranger can be listening.
    await spawned.running.stop(0);
    throw explain(error, spec, spawned, signal);
  } finally {
    mark.close();
  }
}

function remarks(spec: SandboxSpec, { task }: FoundTask, how: "marked" | "unmarked"): readonly string[] {
  const all: string[] = [];
  if (how === "unmarked")
    all.push(
      `it never printed ${READY_MARK}; its port accepted for ${UNMARKED_READY_MS} ms and that was taken for ready`,
    );
  const { cpu = 0, mem = 0 } = task.resources ?? {};
  const { cpuMillis, memoryBytes } = spec.task.resources;
  if (cpuMillis < cpu * 1000) all.push(`it was given ${cpuMillis / 1000} CPU; its task.json asks for ${cpu}`);
  if (memoryBytes < mem * MEBIBYTE)
    all.push(`it was given ${Math.floor(memoryBytes / MEBIBYTE)} MB; its task.json asks for ${mem}`);
  return all;
}

/** Turns what went wrong into the error that the caller gets; everything of the sandbox is gone by now. */
function explain(error: unknown, spec: SandboxSpec, spawned: SpawnedTask, signal: AbortSignal): unknown {
  const { image } = spec.task;
  const logTail = spawned.launched.ring.tail(TAIL_BYTES).text;
  if (error instanceof ExitedEarly) {
    // Whoever listens there now took the port from under the task.
    if (spawned.hasStranger()) return new PortTaken();
    if (spawned.launched.group === undefined)
      return new ExecutorError("SANDBOX_START_FAILED", {
        image,
        reason: "its sandbox could not be made",
        logTail,
      });
    return exitedEarly(image, error.exit, logTail);
  }
  if (error instanceof OnLoopbackOnly) {
    const reason = "it listens on 127.0.0.1 only; listen on 0.0.0.0";
    return new ExecutorError("SANDBOX_START_FAILED", { image, reason, logTail });
  }
  const isOurDeadline = signal.aborted && error instanceof ExecutorError && error.code === "START_TIMEOUT";
  return isOurDeadline
    ? new ExecutorError("START_TIMEOUT", { image, afterMs: spec.startTimeoutMs, logTail }, { cause: error })
    : error;
}

function exitedEarly(image: string, exit: TaskExit, logTail: string): ExecutorError {
  switch (exit.type) {
    case "exited":
      return new ExecutorError("SANDBOX_EXITED_EARLY", { image, exitCode: exit.exitCode, logTail });
    case "signalled":
      return new ExecutorError("SANDBOX_EXITED_EARLY", { image, signal: exit.signal, logTail });
    case "lost":
      return new ExecutorError("SANDBOX_START_FAILED", {
        image,
        reason: "the program that starts tasks has ended",
        logTail,
      });
  }
}
