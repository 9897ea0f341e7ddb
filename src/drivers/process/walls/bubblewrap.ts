import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import { ownNodePieces } from "../tools.ts";
import { scriptsOf } from "./scripts-folder.ts";
import type { SettingsView } from "./settings-folder.ts";

/** Where a task finds its own folder, inside. */
export const TASK_PLACE = "/task";
/** The descriptors that bubblewrap uses besides the three of every program. */
export const STATUS_FD = 3;
export const PASSWD_FD = 4;
/** What a task sees of the host's name servers unless it is told others. */
export const HOST_RESOLV_CONF = "/etc/resolv.conf";

/** What of the host's files all see whose sandboxes have these in common. */
export interface ViewOptions {
  readonly settings: SettingsView;
  /** The most that the task may write under `/tmp`, and again under `/dev/shm`. */
  readonly scratchBytes: number;
  /** Further folders of the host that tasks may read, at the same place. */
  readonly readOnlyPaths: readonly string[];
  /** Device files of the host that the task may use, besides those that every program has. */
  readonly devices: readonly string[];
  /** A list of name servers in place of the host's. */
  readonly resolvConf?: string | undefined;
}

export interface BubblewrapOptions extends ViewOptions {
  readonly folder: string;
  /** A folder that a job may write to; it goes there by itself. A task of calls works in its own folder, which it may not write. */
  readonly work?: JobPlace | undefined;
  /**
   * Whether the program inside changes to a uid of its own, for which it must keep three capabilities until then; and a fourth, to
   * see the cgroup that it joins as the root of all.
   */
  readonly changesUid: boolean;
}

/** Where a job works. */
export interface JobPlace {
  readonly source: string;
  /** Where it sees it. */
  readonly target: string;
}

/** Where a job finds the `scripts` of its task folder, as it would in an image. */
export const SCRIPTS_PLACE = "/scripts";

/**
 * The arguments of bubblewrap up to `--`. Inside: the system's programs and libraries and the task's folder, all read-only; a
 * private `/tmp`; own process ids, IPC and host name. The network is the one that bubblewrap itself is started in.
 */
export function bubblewrapArguments(options: BubblewrapOptions): readonly string[] {
  return [
    ...BEFORE_FILES,
    ...(options.changesUid
      ? keep("CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_ADMIN")
      : []),
    ...viewPieces(options),
    ...["--perms", "0644", "--ro-bind-data", String(PASSWD_FD), "/etc/passwd"],
    ...["--ro-bind", options.folder, TASK_PLACE],
    ...jobPieces(options),
    ...["--remount-ro", "/", "--chdir", options.work === undefined ? TASK_PLACE : "/"],
  ];
}

/**
 * The same for a view that is kept, to be copied for many: with places for what each has in its own way.
 *
 * @param places absolute paths of folders.
 */
export function keptViewArguments(options: ViewOptions, places: readonly string[]): readonly string[] {
  return [
    ...BEFORE_FILES,
    ...viewPieces(options),
    ...places.flatMap((place) => ["--dir", place]),
    ...["--remount-ro", "/", "--chdir", "/"],
  ];
}

const BEFORE_FILES = [
  ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "task"],
  ...["--die-with-parent", "--new-session", "--json-status-fd", String(STATUS_FD)],
  ...["--cap-drop", "ALL"],
] as const;

function viewPieces({
  settings,
  scratchBytes,
  readOnlyPaths,
  devices,
  resolvConf,
}: ViewOptions): readonly string[] {
  const scratch = (place: string): string[] => [
    "--perms",
    "1777",
    "--size",
    String(scratchBytes),
    "--tmpfs",
    place,
  ];
  return [
    ...systemPieces(),
    ...["--proc", "/proc", "--dev", "/dev", ...scratch("/tmp"), ...scratch("/dev/shm")],
    ...["--ro-bind", settings.folder, "/etc"],
    ...settings.folders.flatMap((name) => readOnly(`/etc/${name}`)),
    ...["--ro-bind-try", resolvConf ?? HOST_RESOLV_CONF, "/etc/resolv.conf"],
    ...[...ownNodePieces(), ...readOnlyPaths].flatMap((path) => [...above(path), ...readOnly(path)]),
    ...devices.flatMap((path) => ["--dev-bind-try", path, path]),
  ];
}

function jobPieces({ folder, work }: BubblewrapOptions): readonly string[] {
  if (work === undefined) return [];
  const scripts = scriptsOf(folder);
  return [
    ...(scripts === undefined ? [] : ["--ro-bind", scripts, SCRIPTS_PLACE]),
    ...[...above(work.target), "--bind", work.source, work.target],
  ];
}

/** `/usr`, and what of the root is a link into it (or on older systems, a folder beside it). */
function systemPieces(): readonly string[] {
  const roots = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"].filter((path) => existsSync(path));
  const pieces = roots.flatMap((path) =>
    lstatSync(path).isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : readOnly(path),
  );
  return [...readOnly("/usr"), ...pieces, ...readOnly("/nix/store")];
}

/** The folders above a path: bubblewrap would make them for its own user alone, and tasks have another. */
function above(path: string): string[] {
  return ["--dir", dirname(path)];
}

function readOnly(path: string): string[] {
  return ["--ro-bind-try", path, path];
}

function keep(...capabilities: readonly string[]): readonly string[] {
  return capabilities.flatMap((name) => ["--cap-add", name]);
}

/** A task's list of users, which bubblewrap reads at {@link PASSWD_FD}: root, and itself. */
export function usersFile(uid: number): string {
  return `root:x:0:0::/:/bin/sh\ntask:x:${uid}:${uid}::/tmp:/bin/sh\n`;
}
