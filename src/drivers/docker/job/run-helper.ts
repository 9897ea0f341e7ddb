import { randomBytes } from "node:crypto";
import type { SandboxEnd } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort, systemClock, withDeadline } from "../../../std/index.ts";
import { baseLabels } from "../container/labels.ts";
import { Making } from "../container/making.ts";
import type { HelperWish } from "../container/own-body.ts";
import { helperBody } from "../container/own-body.ts";
import type { World } from "../world.ts";

/** Containers of this kind begin so; nothing else of ours does. */
export const HELPER_NAME_PREFIX = "hearth_helper_";

export type HelperWorld = Pick<
  World,
  "engine" | "owner" | "deaths" | "seccomp" | "known" | "closing" | "inBackground" | "log"
>;

/**
 * Makes a container for a program of ours that does something to one folder of the host, has it used, and removes it.
 *
 * @throws EngineError when the engine would not make it; what `use` throws; {@link ExecutorError} ENGINE_UNAVAILABLE at the deadline.
 */
export async function withHelper<T>(
  world: HelperWorld,
  wish: HelperWish,
  deadlineMs: number,
  signal: AbortSignal | undefined,
  use: (helper: Helper, within: AbortSignal) => Promise<T>,
): Promise<T> {
  const facts = { reason: `a helper did not end within ${deadlineMs / 1000} s` };
  const deadline = { ms: deadlineMs, code: "ENGINE_UNAVAILABLE", facts, parent: signal } as const;
  return await withDeadline(deadline, (within) => makeAndUse(world, wish, within, use));
}

/** A container of ours that has been made and not started. */
export interface Helper {
  readonly containerId: string;
  /** Starts it. Resolves once it has ended. */
  run(): Promise<SandboxEnd>;
}

async function makeAndUse<T>(
  { engine, owner, seccomp, known, deaths, closing, inBackground }: HelperWorld,
  wish: HelperWish,
  signal: AbortSignal,
  use: (helper: Helper, within: AbortSignal) => Promise<T>,
): Promise<T> {
  const name = `${HELPER_NAME_PREFIX}${randomBytes(6).toString("hex")}`;
  const labels = baseLabels(owner, "helper", systemClock.wallMs());
  const making = new Making(engine, name, closing);
  const created = making.create(helperBody(wish, labels, seccomp));
  let containerId: string | undefined;
  try {
    containerId = await orAbort(created, signal);
    known.add(containerId);
    const watch = deaths.watch(containerId, 0);
    try {
      const run = async (): Promise<SandboxEnd> => {
        await orAbort(making.start(containerId as string), signal);
        return await orAbort(watch.ended, signal);
      };
      return await use({ containerId, run }, signal);
    } finally {
      watch.forget();
    }
  } finally {
    const forget = containerId;
    inBackground(async () => {
      await making.remove();
      if (forget !== undefined) known.delete(forget);
    });
  }
}

/** What an end that is not as it should be says. */
export function helperFailure(end: SandboxEnd): ExecutorError {
  const how = end.type === "exited" ? `exit code ${end.exitCode}` : end.type;
  return new ExecutorError("ENGINE_FAILED", { reason: `a helper of ours ended with ${how}` });
}
