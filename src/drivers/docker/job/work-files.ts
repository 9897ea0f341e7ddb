import { readFile } from "node:fs/promises";
import type { JobSandboxSpec, WorkDir } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { makeUsable, openToAll } from "../../../std/index.ts";
import type { BuiltInImage } from "../image/built-in-image.ts";
import { builtInImage, ensureBuiltInImage } from "../image/built-in-image.ts";
import { type HelperWorld, helperFailure, withHelper } from "./run-helper.ts";
import { unlockProgram } from "./unlock-program/unlock-program.ts";

const UNLOCK_DEADLINE_MS = 60_000;
/** Where a helper finds the folder that it is for. */
export const HELPER_TARGET = "/work";
const PROGRAM = "/unlock";
/** How engines write the first user, with or without a group; an image that names none has it. */
const ROOT = /^(0|root)?(:.*)?$/;
/** Bit of `CAP_DAC_OVERRIDE`, with which no file is closed. @see capabilities(7). */
const OVERRIDES = 1n;

/**
 * Sees to it that a job can use what its daemon put into its work folder, and the daemon what the job left there: both may be
 * other users than each other. The folder's parents keep everybody else out.
 */
export class WorkFiles {
  readonly #world: HelperWorld;

  constructor(world: HelperWorld) {
    this.#world = world;
  }

  /**
   * Before a job starts. Its programs have no rights beyond those of their user, the first one included.
   *
   * @throws {@link ExecutorError} SANDBOX_START_FAILED; the signal's reason.
   */
  async open({ image, user, workDir }: JobSandboxSpec, signal: AbortSignal): Promise<void> {
    if (await this.#isSameUser(image.digest, user, signal)) return;
    try {
      await openToAll(workDir.localPath);
    } catch (error) {
      const reason = `its work folder ${workDir.localPath} cannot be opened to the user that it runs as`;
      throw new ExecutorError("SANDBOX_START_FAILED", { reason }, { cause: error });
    }
  }

  /** After its end. Never rejects: what stays closed is told by whoever reads or removes it, and in the log. */
  async take({ localPath, hostPath }: WorkDir): Promise<void> {
    try {
      if ((await isNothingClosed()) || (await makeUsable(localPath))) return;
      await this.#unlock(hostPath);
    } catch (error) {
      const warning = `what a job wrote to ${localPath} belongs to another user and could not be opened to this one`;
      this.#world.log?.log("warn", "driver.degraded", { driver: "docker", warning, error });
    }
  }

  /** Asked before anything of the job is made; an image that is gone by now is the start's to tell. */
  async #isSameUser(digest: string, asked: string | undefined, signal: AbortSignal): Promise<boolean> {
    const { engine } = this.#world;
    if (process.getuid?.() !== 0 || engine.mapsUsers || !engine.isLocal || !(await isRootOutside()))
      return false;
    const user = asked ?? (await engine.images.inspect(digest, { signal }).catch(() => undefined))?.user;
    signal.throwIfAborted();
    return user !== undefined && ROOT.test(user);
  }

  /** By a program of ours that may change modes and nothing else, and sees nothing but this folder. */
  async #unlock(hostPath: string): Promise<void> {
    const { engine } = this.#world;
    const image = unlockImage(engine.architecture);
    const name = await ensureBuiltInImage(engine, image, new AbortController().signal);
    const wish = { image: name, command: [PROGRAM, HELPER_TARGET], hostPath, mayWrite: true } as const;
    const end = await withHelper(this.#world, wish, UNLOCK_DEADLINE_MS, undefined, (helper) => helper.run());
    if (end.type !== "exited" || end.exitCode !== 0) throw helperFailure(end);
  }
}

function unlockImage(architecture: string): BuiltInImage {
  const content = unlockProgram(architecture);
  if (content === undefined)
    throw new ExecutorError("ENGINE_FAILED", { reason: `there is no helper for ${architecture}` });
  return builtInImage(
    "hearth/unlock",
    architecture,
    [{ path: PROGRAM.slice(1), content, mode: 0o555 }],
    PROGRAM,
  );
}

/** Whether root here is root everywhere on this host, and not another user's in a name space of users. @see user_namespaces(7). */
async function isRootOutside(): Promise<boolean> {
  const map = await readFile("/proc/self/uid_map", "latin1").catch(() => "");
  return /^\s*0\s+0\s/.test(map);
}

async function isNothingClosed(): Promise<boolean> {
  const status = await readFile("/proc/self/status", "latin1").catch(() => "");
  const [, effective = "0"] = /^CapEff:\s*([0-9a-f]+)/m.exec(status) ?? [];
  return (BigInt(`0x${effective}`) & (1n << OVERRIDES)) !== 0n;
}
