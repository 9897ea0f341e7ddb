import { ExecutorError } from "../../../core/index.ts";
import type { CgroupPlan, CgroupSetting } from "../cgroup/cgroup.ts";
import type { Steering } from "./passed-output.ts";

/** How a process comes into its network: not at all, into one that has a file, or into a new one of its own with loopback alone. */
export type NetworkEntrance =
  | { readonly type: "host" }
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "new" };

/** What of the host's files a process sees in its own way, and where. */
export interface Tree {
  readonly source: string;
  readonly target: string;
  readonly access: "read" | "write";
}

/** A view of the files that the program keeps, copied for one process with all that belongs to that process alone. */
export interface WalledView {
  /** The number that it is kept under. */
  readonly place: number;
  /** The most that may be written under `/tmp`, and again under `/dev/shm`. */
  readonly scratchBytes: number;
  readonly trees: readonly Tree[];
}

/** One process to be started. */
export interface SpawnRequest {
  /** An absolute path and its arguments; behind walls, what follows the path. Its environment is a `PATH` and nothing else. */
  readonly argv: readonly string[];
  /** Walls of a kept view, process ids, IPC and a host name of its own. Default: all as the daemon has it. */
  readonly walls?: WalledView | undefined;
  /** Where it is started; behind walls, as that is called inside. */
  readonly folder: string;
  /** What is made before, so that there are cgroups to join. */
  readonly plan?: Pick<CgroupPlan, "directories" | "settings"> | undefined;
  /** Files of cgroups, which it finds open from fd 100 on. */
  readonly joinFiles: readonly string[];
  readonly network: NetworkEntrance;
  /** Files that it may hold open. */
  readonly openFiles: number;
  /** How willingly the kernel takes it when memory runs out on the host. */
  readonly oomScore: number;
  /** What it reads at fd 4; behind walls, at `/etc/passwd`. At most a page. */
  readonly users: string;
}

/** As large as the program's buffer, less what two numbers take. */
const MOST_BYTES = 1_048_576 - 16;
const HEAD_BYTES = 8;
/** Views that the program can keep; their numbers are below this. */
export const MOST_VIEWS = 32;

/**
 * A request as the program reads it: the length of what follows, the id, then fields of one letter and a text, each with a zero at
 * its end, filled up with zeros to a multiple of four. Numbers are those of this machine, little-endian on both that there are.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED for what is too long or holds a zero.
 */
export function encodeRequest(id: number, request: SpawnRequest): Buffer {
  const { argv, folder, joinFiles, network, openFiles, oomScore, users, walls, plan } = request;
  const fields = [
    ...[`D${folder}`, `F${openFiles}`, `O${oomScore}`, `P${users}`],
    ...(network.type === "file" ? [`N${network.path}`] : network.type === "new" ? ["U"] : []),
    ...(plan?.directories ?? []).map((directory) => `M${directory}`),
    ...(plan?.settings ?? []).flatMap(settingFields),
    ...joinFiles.map((file) => `J${file}`),
    ...(walls === undefined ? [] : fieldsOf(walls)),
    ...argv.map((word) => `A${word}`),
  ];
  if (fields.some((field) => field.includes("\0"))) throw refused("its command or environment holds a zero");
  return frameOf(id, fields);
}

function settingFields({ tries: [first, ...others], isNeeded }: CgroupSetting): readonly string[] {
  const letter = isNeeded ? "Y" : "I";
  const fields = [`${letter}${first.file}`, `G${first.text}`];
  return [...fields, ...others.flatMap(({ file, text }) => [`E${file}`, `G${text}`])];
}

const TREE_LETTERS = { read: "R", write: "B" } as const;

function fieldsOf({ place, scratchBytes, trees }: WalledView): readonly string[] {
  const parts = trees.flatMap(({ source, target, access }) => [
    `${TREE_LETTERS[access]}${source}`,
    `G${target}`,
  ]);
  return [`W${place}`, `Z${scratchBytes}`, ...parts];
}

/** The request to keep the files that a process sees under a number, which is answered as a start is. */
export function encodeKeep(id: number, place: number, pid: number): Buffer {
  return frameOf(id, [`V${place}`, `L${pid}`]);
}

/** The request to remove empty directories, which is answered as a start is. */
export function encodeRemove(id: number, directories: readonly string[]): Buffer {
  return frameOf(
    id,
    directories.map((directory) => `X${directory}`),
  );
}

/** The request to say that it is there, which is answered as a start is. */
export function encodeHail(id: number): Buffer {
  return frameOf(id, ["H"]);
}

/** The request to keep such a view no longer, which nothing answers; what was started in a copy keeps that. */
export function encodeLetGo(place: number): Buffer {
  return frameOf(0, [`C${place}`]);
}

/** The request to kill a process, which nothing answers. What is no child of the program's, or not any more, is left alone. */
export function encodeKill(pid: number): Buffer {
  return frameOf(0, [`K${pid}`]);
}

const STEERING_LETTERS = { hold: "Q", take: "T", stop: "S" } as const;

/** The request to pass on no more of a stream for now, to go on, or to pass on what lies there and end it; nothing answers it. */
export function encodeSteering(id: number, kind: StreamKind, how: Steering): Buffer {
  return frameOf(0, [`${STEERING_LETTERS[how]}${kind}${id}`]);
}

function frameOf(id: number, fields: readonly string[]): Buffer {
  const text = `${fields.join("\0")}\0`;
  const textBytes = Buffer.byteLength(text);
  const length = 4 + Math.ceil(textBytes / 4) * 4;
  if (length > MOST_BYTES) throw refused("its command and environment are too long");
  const frame = Buffer.alloc(4 + length);
  frame.writeUInt32LE(length, 0);
  frame.writeUInt32LE(id, 4);
  frame.write(text, HEAD_BYTES);
  return frame;
}

function refused(reason: string): ExecutorError {
  return new ExecutorError("SANDBOX_START_FAILED", { reason });
}

export type SpawnReport =
  | { readonly type: "started"; readonly id: number; readonly pid: number }
  | { readonly type: "failed"; readonly id: number; readonly errno: number }
  /** What it runs behind walls begins, if it was made to say so. */
  | { readonly type: "begun"; readonly id: number }
  | { readonly type: "ended"; readonly pid: number; readonly status: number }
  /** A piece of what it prints: a view on what was read. */
  | { readonly type: "output"; readonly id: number; readonly kind: StreamKind; readonly bytes: Buffer }
  /** No more comes of that stream. */
  | { readonly type: "closed"; readonly id: number; readonly kind: StreamKind };

/** `o` and `e` are the outputs; `s` is where the process and bubblewrap tell how far they are, unless it is behind walls. */
export type StreamKind = "o" | "e" | "s";

export const STREAM_KINDS: readonly StreamKind[] = ["o", "e", "s"];
const REPORT_BYTES = 12;
const FIRST_OUTPUT = 5;

/** Reads reports in whatever pieces they come; of output each piece is told as it is there. */
export class ReportReader {
  #rest: Buffer = Buffer.alloc(0);
  /** Output that is still to come. */
  #open: { readonly id: number; readonly kind: StreamKind; left: number } | undefined;

  read(bytes: Buffer): readonly SpawnReport[] {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const reports: SpawnReport[] = [];
    let at = this.#readOutput(all, 0, reports);
    while (this.#open === undefined && all.length - at >= REPORT_BYTES) {
      this.#readHead(all, at, reports);
      at = this.#readOutput(all, at + REPORT_BYTES, reports);
    }
    this.#rest = all.subarray(at);
    return reports;
  }

  #readHead(bytes: Buffer, at: number, reports: SpawnReport[]): void {
    const what = bytes.readUInt32LE(at);
    const subject = bytes.readUInt32LE(at + 4);
    const value = bytes.readUInt32LE(at + 8);
    const kind = STREAM_KINDS[what - FIRST_OUTPUT];
    if (kind !== undefined && value > 0) this.#open = { id: subject, kind, left: value };
    else if (kind !== undefined) reports.push({ type: "closed", id: subject, kind });
    else if (what === 1) reports.push({ type: "started", id: subject, pid: value });
    else if (what === 2) reports.push({ type: "failed", id: subject, errno: value });
    else if (what === 3) reports.push({ type: "ended", pid: subject, status: value });
    else if (what === 4) reports.push({ type: "begun", id: subject });
  }

  /** What is there of the output that was announced. Returns where the next report begins. */
  #readOutput(all: Buffer, at: number, reports: SpawnReport[]): number {
    const open = this.#open;
    if (open === undefined || at === all.length) return at;
    const bytes = all.subarray(at, at + open.left);
    reports.push({ type: "output", id: open.id, kind: open.kind, bytes });
    open.left -= bytes.length;
    if (open.left === 0) this.#open = undefined;
    return at + bytes.length;
  }
}
