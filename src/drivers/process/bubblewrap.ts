import type { ChildProcess } from "node:child_process";
import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { ownNodePieces } from "./tools.ts";

/** Where a task finds its own folder, inside. */
export const TASK_PLACE = "/task";
/** The descriptors that bubblewrap uses besides the three of every program. */
export const STATUS_FD = 3;
export const PASSWD_FD = 4;

/** Of the system's settings, only what programs need to find names, certificates, libraries and the time. */
const SETTINGS = [
  "alternatives",
  "ca-certificates",
  "crypto-policies",
  "hosts",
  "ld.so.cache",
  "localtime",
  "mime.types",
  "nsswitch.conf",
  "pki",
  "protocols",
  "resolv.conf",
  "services",
  "ssl",
];

export interface BubblewrapOptions {
  readonly folder: string;
  /** The most that the task may write under `/tmp`, and again under `/dev/shm`. */
  readonly scratchBytes: number;
  /** Further folders of the host that tasks may read, at the same place. */
  readonly readOnlyPaths: readonly string[];
  /** Device files of the host that the task may use, besides those that every program has. */
  readonly devices: readonly string[];
  /** A list of name servers in place of the host's. */
  readonly resolvConf?: string | undefined;
  /** A folder that a job may write to; it goes there by itself. A task of calls works in its own folder, which it may not write. */
  readonly work?: JobPlace | undefined;
  /** Whether the program inside changes to a uid of its own, for which it must keep three capabilities until then. */
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
  const size = String(options.scratchBytes);
  const scratch = (place: string): string[] => ["--perms", "1777", "--size", size, "--tmpfs", place];
  return [
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "task"],
    ...["--die-with-parent", "--new-session", "--json-status-fd", String(STATUS_FD)],
    ...["--cap-drop", "ALL"],
    ...(options.changesUid ? keep("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") : []),
    ...systemPieces(),
    ...["--proc", "/proc", "--dev", "/dev", ...scratch("/tmp"), ...scratch("/dev/shm")],
    ...["--perms", "0755", "--dir", "/etc"],
    ...SETTINGS.filter((name) => name !== "resolv.conf").flatMap((name) => readOnly(`/etc/${name}`)),
    ...["--ro-bind-try", options.resolvConf ?? "/etc/resolv.conf", "/etc/resolv.conf"],
    ...["--perms", "0644", "--ro-bind-data", String(PASSWD_FD), "/etc/passwd"],
    ...[...ownNodePieces(), ...options.readOnlyPaths].flatMap(readOnly),
    ...options.devices.flatMap((path) => ["--dev-bind-try", path, path]),
    ...["--ro-bind", options.folder, TASK_PLACE],
    ...jobPieces(options),
    ...["--remount-ro", "/", "--chdir", options.work === undefined ? TASK_PLACE : "/"],
  ];
}

function jobPieces({ folder, work }: BubblewrapOptions): readonly string[] {
  if (work === undefined) return [];
  return [
    ...["--ro-bind-try", join(folder, "scripts"), SCRIPTS_PLACE],
    ...["--bind", work.source, work.target],
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

function readOnly(path: string): string[] {
  return ["--ro-bind-try", path, path];
}

function keep(...capabilities: readonly string[]): readonly string[] {
  return capabilities.flatMap((name) => ["--cap-add", name]);
}

/** Hands a task's list of users to a child started with a pipe at {@link PASSWD_FD}: root, and itself. */
export function sendPasswd(child: ChildProcess, uid: number): void {
  const pipe = child.stdio[PASSWD_FD] as Duplex;
  // A child that ends early, or is started without bubblewrap, does not read it; nothing is lost with it.
  pipe.on("error", () => undefined);
  // Unread, its end is never seen, and with it not the child's `close`.
  pipe.resume();
  pipe.end(`root:x:0:0::/:/bin/sh\ntask:x:${uid}:${uid}::/tmp:/bin/sh\n`);
}
