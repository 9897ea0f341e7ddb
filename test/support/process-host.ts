import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Caller, SECRET_CANARY } from "./caller.ts";
import { freshName } from "./fresh-name.ts";
import type { Judged } from "./judge.ts";
import { recordedSandboxes } from "./recorded-sandboxes.ts";
import type { DaemonOptions } from "./start-daemon.ts";
import { startDaemon } from "./start-daemon.ts";

/** A daemon that runs task folders as processes. Disposing it ends it and its folder. */
export interface ProcessDaemon extends Judged, AsyncDisposable {
  readonly owner: string;
}

export interface ProcessDaemonOptions extends Omit<DaemonOptions, "config"> {
  /** Lines of YAML besides ours; `tasks` is written as keys of one section in `tasks`. */
  readonly config?: string;
  readonly tasks?: string;
  readonly owner?: string;
}

/**
 * For a script of {@link ProcessHost.obeys}: waits, however slow the machine is, until {@link OPENS} ran in the same sandbox. No file of
 * the host could say it: a folder that changes is another image.
 */
export const WAITS = "while (globalThis.isOpen !== true) await sleep(20);";
export const OPENS = "globalThis.isOpen = true; return 'open'";

/** Task folders for faults that need no container, and daemons on request. */
export interface ProcessHost extends AsyncDisposable {
  /** Runs its input as JavaScript: see `tasks/obeys.mjs`. Each name is a task of its own. */
  readonly obeys: string;
  /** Has a program that is not ready for a minute. */
  readonly slow: string;
  /** Obeys, too, three seconds later. */
  readonly late: string;
  start(options?: ProcessDaemonOptions): Promise<ProcessDaemon>;
  /** Ids of processes whose environment or command line names one of this host's folders. */
  taskProcesses(): Promise<readonly number[]>;
}

export async function openProcessHost(): Promise<ProcessHost> {
  const root = await mkdtemp(join(tmpdir(), "hearth-tasks-"));
  // Tasks run under other uids.
  await chmod(root, 0o755);
  const add = async (name: string, command: readonly string[]): Promise<string> => {
    const folder = join(root, name);
    await mkdir(folder);
    await cp(new URL("tasks/obeys.mjs", import.meta.url), join(folder, "obeys.mjs"));
    await writeFile(join(folder, "task.json"), JSON.stringify({ id: `test/${name}`, command }));
    return `test/${name}`;
  };
  const mark = `mark-${freshName("task")}`;
  const obeys = await add("obeys", ["node", "obeys.mjs", mark]);
  const slow = await add("slow", ["sh", "-c", `sleep 60; exec node obeys.mjs ${mark}`]);
  const late = await add("late", ["sh", "-c", `sleep 3; exec node obeys.mjs ${mark}`]);
  return {
    obeys,
    slow,
    late,
    async start({ config = "", tasks = "", owner = freshName("fault"), env, ...rest } = {}) {
      const daemon = await startDaemon({
        ...rest,
        env: { FAULT_SECRET: SECRET_CANARY, ...env },
        config: `driver: process
cpu: 2
mem: 1024
tasks: {dirs: [${root}], stop_grace_s: 1${tasks === "" ? "" : `, ${tasks}`}}
docker: {owner: ${owner}}
${config}
`,
      });
      return {
        daemon,
        caller: new Caller(daemon.baseUrl),
        owner,
        realSandboxes: () => recordedSandboxes(join(daemon.stateDir, "process", "sandboxes")),
        [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
      };
    },
    taskProcesses: () => processesWith(mark),
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function processesWith(mark: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (command.includes(mark)) found.push(Number(name));
  }
  return found;
}
