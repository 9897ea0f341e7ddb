import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";
import { STATUS_FD, sendPasswd } from "./bubblewrap.ts";
import { commandLine } from "./command-line.ts";
import { findTool } from "./tools.ts";

/** The host's tools that a task is started through; what is `undefined` was not found or does not work here. */
export interface Confinement {
  readonly shell: string;
  readonly env: string;
  readonly bubblewrap: string | undefined;
  readonly setpriv: string | undefined;
  /** Whether tasks run under uids of their own. */
  readonly changesUid: boolean;
}

export interface FoundConfinement {
  readonly confinement: Confinement;
  /** Why each stronger way was given up, in plain words. */
  readonly remarks: readonly string[];
}

export interface ConfinementWish {
  /** One that tasks could run under, or `undefined` when the daemon may not change uids. */
  readonly uid: number | undefined;
  /** Tools that are not to be used though they are here. */
  readonly avoid: readonly string[];
}

const PROBE_TIMEOUT_MS = 5000;

/**
 * Finds the strongest way to start a task here by trying it: bubblewrap and an own uid, then less and less. Ends with a plain
 * process, and says why.
 *
 * @throws {@link ExecutorError} ENGINE_UNAVAILABLE when not even a shell can be run.
 */
export async function findConfinement(
  { uid, avoid }: ConfinementWish,
  signal: AbortSignal,
): Promise<FoundConfinement> {
  const [shell, env] = [findTool("sh"), findTool("env")];
  if (shell === undefined || env === undefined)
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason: "this host has no sh or no env" });
  const find = (part: "bubblewrap" | "setpriv", name: string): string | undefined =>
    avoid.includes(part) ? undefined : findTool(name);
  const [bubblewrap, setpriv] = [find("bubblewrap", "bwrap"), find("setpriv", "setpriv")];
  const remarks: string[] = [];
  if (bubblewrap === undefined) remarks.push("bubblewrap (bwrap) is not installed, or not to be used");
  if (setpriv === undefined) remarks.push("setpriv is not installed, or not to be used");
  const hasUid = uid !== undefined && setpriv !== undefined;
  const ways: readonly Confinement[] = [
    { shell, env, bubblewrap, setpriv, changesUid: hasUid },
    { shell, env, bubblewrap, setpriv: undefined, changesUid: false },
    { shell, env, bubblewrap: undefined, setpriv, changesUid: hasUid },
    { shell, env, bubblewrap: undefined, setpriv, changesUid: false },
  ];
  for (const confinement of ways) {
    const failure = await tryOut(confinement, confinement.changesUid ? uid : undefined, signal);
    if (failure === undefined) return { confinement, remarks };
    remarks.push(`${describeWay(confinement)} does not work here: ${failure}`);
  }
  return {
    confinement: { shell, env, bubblewrap: undefined, setpriv: undefined, changesUid: false },
    remarks,
  };
}

/** Runs a program that does nothing; returns what went wrong, if anything. */
async function tryOut(
  how: Confinement,
  uid: number | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [program = "", ...rest] = commandLine(how, {
    folder: "/usr",
    command: ["true"],
    environment: { PATH: "/usr/bin:/bin" },
    entrance: [],
    joinFiles: [],
    uid,
    scratchBytes: 4096,
    readOnlyPaths: [],
    devices: [],
  });
  try {
    return await withDeadline(
      { ms: PROBE_TIMEOUT_MS, code: "ENGINE_UNAVAILABLE", parent: signal },
      async (deadline) => {
        const child = spawn(program, rest, {
          stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
          detached: true,
          env: {},
          signal: deadline,
          killSignal: "SIGKILL",
        });
        let said = "";
        child.stderr?.on("data", (chunk: Buffer) => {
          said = (said + chunk.toString("utf8")).slice(-500);
        });
        (child.stdio[STATUS_FD] as Duplex).resume();
        sendPasswd(child, uid ?? 0);
        const [code] = (await once(child, "close", { signal: deadline })) as [number | null];
        return code === 0 ? undefined : said.trim().split("\n").at(-1) || `exit code ${code}`;
      },
    );
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error.message : "it could not be started";
  }
}

function describeWay({ bubblewrap, setpriv, changesUid }: Confinement): string {
  const parts = [bubblewrap && "bubblewrap", setpriv && (changesUid ? "an own uid" : "setpriv")];
  return parts.filter(Boolean).join(" with ") || "a plain process";
}
