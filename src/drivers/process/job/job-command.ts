import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { JobSandboxSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { cardEnvironment } from "../cards.ts";
import type { FoundTask } from "../folders/task-folders.ts";
import { canExecute, findTool, taskPath } from "../tools.ts";
import { SCRIPTS_PLACE, TASK_PLACE } from "../walls/bubblewrap.ts";
import type { ProcessWorld } from "../world.ts";

export interface JobCommand {
  readonly command: readonly string[];
  /** The work folder, as it is called inside: it may be open to the job's uid alone. */
  readonly begin: { readonly folder: string };
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * A job's command as it is run here. Its folder's `bin` comes first in `PATH`, and `python` is `python3` on hosts that only have
 * that. Without bubblewrap there is no `/scripts` and no folder of another name: then these are called what they are here.
 *
 * @throws {@link ExecutorError} IMAGE_UNUSABLE when there is no such program.
 */
export function jobCommand(
  world: ProcessWorld,
  { task, command, environment, workDir, gpuIds }: JobSandboxSpec,
  found: FoundTask,
  home: string,
): JobCommand {
  const { bubblewrap } = world.confinement;
  const isOwnView = bubblewrap !== undefined;
  const path = pathOf(join(isOwnView ? TASK_PLACE : found.folder, "bin"));
  const inside = isOwnView
    ? (text: string): string => text
    : (text: string): string =>
        moved(moved(text, SCRIPTS_PLACE, join(found.folder, "scripts")), workDir.target, workDir.localPath);
  const [asked = "", ...rest] = command.map(inside);
  const seenPath = pathOf(join(found.folder, "bin"));
  const program = knownProgram(asked, seenPath);
  const seen = isOwnView ? toHost(program, found.folder, workDir) : program;
  if (!canExecute(seen, workDir.localPath, seenPath)) {
    const reason = `its command "${asked}" is no program that can be executed`;
    throw new ExecutorError("IMAGE_UNUSABLE", { image: task.image, reason });
  }
  const values = Object.entries(environment).map(([name, value]) => [name, inside(value)] as const);
  return {
    command: [program, ...rest],
    begin: { folder: isOwnView ? workDir.target : workDir.localPath },
    environment: {
      PATH: path,
      LANG: "C.UTF-8",
      ...found.task.env,
      ...Object.fromEntries(values),
      // By its name those are found that left everything else behind.
      HOME: home,
      ...cardEnvironment(gpuIds),
    },
  };
}

function pathOf(first: string): string {
  return [first, taskPath()].join(delimiter);
}

/** A path under one place, as it is called under another. */
function moved(text: string, from: string, to: string): string {
  if (text === from) return to;
  return text.startsWith(`${from}/`) ? `${to}${text.slice(from.length)}` : text;
}

function knownProgram(asked: string, path: string): string {
  const isThere = (name: string): boolean => findTool(name, path.split(delimiter)) !== undefined;
  return asked === "python" && !isThere("python") && isThere("python3") ? "python3" : asked;
}

/** Where this process finds what a job in a view of its own calls by that name. */
function toHost(program: string, folder: string, { target, localPath }: JobSandboxSpec["workDir"]): string {
  if (!isAbsolute(program)) return program;
  const places = [
    [SCRIPTS_PLACE, join(folder, "scripts")],
    [TASK_PLACE, folder],
    [target, localPath],
  ] as const;
  for (const [from, to] of places) {
    const here = moved(program, from, to);
    if (here !== program && existsSync(here)) return here;
  }
  return program;
}
