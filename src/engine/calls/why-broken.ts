import type { SandboxEnd } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { SandboxOwner } from "../sandboxes/sandbox-owner.ts";

/**
 * How long a broken connection waits for the reason of its sandbox's end; an engine under load tells it late. In steps: a machine that
 * stands still takes one of them, and not all.
 */
const END_REASON_STEPS = 25;
const END_REASON_STEP_MS = 100;
/** A sandbox that is dying may take a connection while its processes go, one after the other; it does not any more when this is over. */
const LAST_BREATH_MS = 100;

/** Why a call on this sandbox has come to nothing, whose connection has broken. Never rejects. */
export async function whyBroken(
  owner: Pick<SandboxOwner, "endWithin" | "takesConnections">,
  cause: Error,
): Promise<ExecutorError> {
  const ended = endSoon(owner);
  // An end is known a moment after its connections have broken: whoever goes on taking further ones has not ended.
  const hasEnded = await Promise.race([ended.then(() => true), livesOn(owner).then((lives) => !lives)]);
  const end = hasEnded ? await ended : undefined;
  return end === undefined ? brokeOff(cause) : brokenBy(end, cause);
}

async function endSoon(owner: Pick<SandboxOwner, "endWithin">): Promise<SandboxEnd | undefined> {
  for (let step = 0; step < END_REASON_STEPS; step += 1) {
    const end = await owner.endWithin(END_REASON_STEP_MS);
    if (end !== undefined) return end;
  }
  return undefined;
}

async function livesOn(owner: Pick<SandboxOwner, "endWithin" | "takesConnections">): Promise<boolean> {
  if (!(await owner.takesConnections())) return false;
  if ((await owner.endWithin(LAST_BREATH_MS)) !== undefined) return false;
  return await owner.takesConnections();
}

/** Its sandbox has not ended with the connection. */
function brokeOff(cause: Error): ExecutorError {
  return new ExecutorError("TASK_BROKE_OFF", ExecutorError.from(cause).facts, { cause });
}

/** What a sandbox's end means for a call that ran on it. */
function brokenBy(end: SandboxEnd, cause: Error): ExecutorError {
  switch (end.type) {
    case "memory":
      return new ExecutorError("TASK_OUT_OF_MEMORY", { limitBytes: end.limitBytes }, { cause });
    case "exited":
      return new ExecutorError("TASK_EXITED", { exitCode: end.exitCode }, { cause });
    case "signalled":
      return new ExecutorError("TASK_EXITED", { signal: end.signal }, { cause });
    case "lost":
      return new ExecutorError("SANDBOX_LOST", {}, { cause });
    case "stopped":
      return new ExecutorError("TASK_EXITED", { reason: "its sandbox was stopped" }, { cause });
  }
}
