import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Task folders for the process driver, each the server that does as it is told (`tasks/obey.mjs`). */
export interface TaskFolders extends AsyncDisposable {
  readonly path: string;
  /** What a daemon needs to run them. */
  readonly env: Readonly<Record<string, string>>;
}

export async function makeTaskFolders(ids: readonly string[]): Promise<TaskFolders> {
  const path = await mkdtemp(join(tmpdir(), "hearth-tasks-"));
  // Tasks run under other uids.
  await chmod(path, 0o755);
  for (const id of ids) {
    await mkdir(join(path, id), { mode: 0o755 });
    await cp(new URL("tasks/obey.mjs", import.meta.url), join(path, id, "main.mjs"));
    await writeFile(join(path, id, "task.json"), JSON.stringify({ id, command: ["node", "main.mjs"] }));
  }
  return {
    path,
    env: { HEARTH_DRIVER: "process", HEARTH_TASKS_DIRS: path },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
