import { SELF_PATH } from "../spawner/index.ts";
import type { JobPlace } from "./bubblewrap.ts";
import { bubblewrapArguments } from "./bubblewrap.ts";
import type { Confinement } from "./confinement.ts";
import type { SettingsView } from "./settings-folder.ts";

export interface CommandWish {
  readonly folder: string;
  readonly command: readonly string[];
  /** All of the task's environment. It is set last, when the program has nothing left that a variable could misuse. */
  readonly environment: Readonly<Record<string, string>>;
  /** How many cgroups it is to join. */
  readonly cgroups: number;
  /** The uid to run under, if tasks have one of their own here. */
  readonly uid: number | undefined;
  readonly settings: SettingsView;
  readonly scratchBytes: number;
  readonly readOnlyPaths: readonly string[];
  /** Device files of the host that the task may use; without bubblewrap it sees all of them anyway. */
  readonly devices: readonly string[];
  /** Where a job works; without bubblewrap it works where it is started. */
  readonly work?: JobPlace | undefined;
  /** Where a job's program is started, which says so just before; a task of calls is started in its own folder. */
  readonly begin?: { readonly folder: string } | undefined;
  /** A list of name servers that the task sees in place of the host's. */
  readonly resolvConf?: string | undefined;
}

/**
 * Program and arguments for one task, once it is in its network: bubblewrap, then the spawner's last step, which joins the cgroups and
 * gives up every privilege, then the task's own command.
 */
export function commandLine(how: Confinement, wish: CommandWish): readonly string[] {
  const wrapped =
    how.bubblewrap === undefined
      ? []
      : [how.bubblewrap, ...bubblewrapArguments({ ...wish, changesUid: wish.uid !== undefined }), "--"];
  return [...wrapped, SELF_PATH, ...lastStep(how, wish)];
}

/** The part that comes after the walls, by the spawner: what it does as the last step, and the task's own command. */
export function lastStep(
  how: Pick<Confinement, "bubblewrap" | "givesUpPrivileges">,
  { uid, begin, cgroups, environment, command }: CommandWish,
): readonly string[] {
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [
    "enter",
    ...(cgroups > 0 ? [`join=${cgroups}`] : []),
    ...(how.givesUpPrivileges ? ["nnp"] : []),
    ...(how.givesUpPrivileges && uid !== undefined ? [`uid=${uid}`] : []),
    // Bubblewrap ends the whole process name space itself when the daemon dies.
    ...(how.bubblewrap === undefined ? ["tie"] : []),
    ...(begin === undefined ? [] : [`dir=${begin.folder}`, "begin"]),
    ...["--", ...settings, "--", ...command],
  ];
}
