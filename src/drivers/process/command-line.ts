import type { JobPlace } from "./bubblewrap.ts";
import { bubblewrapArguments } from "./bubblewrap.ts";
import type { Confinement } from "./confinement.ts";

/** Open files that a task may hold; its core dumps are never written. */
const OPEN_FILES = 1024;
/** The kernel takes a task before it takes the daemon when memory runs out on the host. */
const OOM_SCORE = 300;

/**
 * Runs first, still as the daemon: joins the cgroups, lowers the limits, becomes the rest. `$@` is an argument array: the
 * files to join, `--`, the command. Exit code 125 means that a cgroup could not be joined.
 */
const JOIN_SCRIPT = `
while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift
ulimit -c 0; ulimit -n ${OPEN_FILES} 2>/dev/null
echo ${OOM_SCORE} 2>/dev/null >/proc/self/oom_score_adj
exec "$@"`;

export interface CommandWish {
  readonly folder: string;
  readonly command: readonly string[];
  /** All of the task's environment. It is set last, when the program has nothing left that a variable could misuse. */
  readonly environment: Readonly<Record<string, string>>;
  /** Program and arguments that enter the task's own network, before anything else; empty on the host's network. */
  readonly entrance: readonly string[];
  readonly joinFiles: readonly string[];
  /** The uid to run under, if tasks have one of their own here. */
  readonly uid: number | undefined;
  readonly scratchBytes: number;
  readonly readOnlyPaths: readonly string[];
  /** Device files of the host that the task may use; without bubblewrap it sees all of them anyway. */
  readonly devices: readonly string[];
  /** Where a job works; without bubblewrap it works where it is started. */
  readonly work?: JobPlace | undefined;
  /** A list of name servers that the task sees in place of the host's. */
  readonly resolvConf?: string | undefined;
}

/** Program and arguments for one task: enter its network, join its cgroups, then bubblewrap, then give up every privilege, then the task's own command. */
export function commandLine(how: Confinement, wish: CommandWish): readonly string[] {
  const settings = Object.entries(wish.environment).map(([name, value]) => `${name}=${value}`);
  const wrapped =
    how.bubblewrap === undefined
      ? []
      : [how.bubblewrap, ...bubblewrapArguments({ ...wish, changesUid: wish.uid !== undefined }), "--"];
  const join = [how.shell, "-c", JOIN_SCRIPT, "hearth", ...wish.joinFiles, "--"];
  return [
    ...wish.entrance,
    ...join,
    ...wrapped,
    ...dropPrivileges(how, wish.uid),
    how.env,
    "-i",
    ...settings,
    ...wish.command,
  ];
}

function dropPrivileges(how: Confinement, uid: number | undefined): readonly string[] {
  if (how.setpriv === undefined) return [];
  const identity =
    uid === undefined
      ? []
      : [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
  // Bubblewrap ends the whole process name space itself when the daemon dies.
  const tie = how.bubblewrap === undefined ? ["--pdeathsig=KILL"] : [];
  return [how.setpriv, "--no-new-privs", ...tie, ...identity, "--"];
}
