import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { ExecutorError } from "../../../core/index.ts";
import { whyNotMade } from "../../../std/index.ts";
import type { OutputStream } from "../output/output-stream.ts";
import { factsOf } from "../process-table.ts";
import type { ExitStatus } from "../task/exit-status.ts";
import { exitStatusOf, UNSEEN } from "../task/exit-status.ts";
import type { Steering } from "./passed-output.ts";
import { PassedOutput } from "./passed-output.ts";
import { writeSpawnerProgram } from "./program.ts";
import type { SpawnReport, SpawnRequest, StreamKind } from "./wire.ts";
import {
  encodeHail,
  encodeKeep,
  encodeKill,
  encodeLetGo,
  encodeRemove,
  encodeRequest,
  encodeSteering,
  ReportReader,
  STREAM_KINDS,
} from "./wire.ts";

/** Where a started process finds the program, in whatever view of the files it is. */
export const SELF_PATH = "/proc/self/fd/6";

const CONTROL_FD = 3;
const LOST = "the program that starts tasks has ended";
/** From the request to the process: hundreds of requests may lie before it, on a machine that does much else. */
const START_DEADLINE_MS = 30_000;

/** A process that runs, or has. */
export interface SpawnedProcess {
  readonly pid: number;
  /** `undefined` when it had ended before anybody looked. */
  readonly startTicks: number | undefined;
  /** Behind walls there is no `s`. */
  readonly streams: Streams;
  /** Behind walls only: resolves once its command begins, if it was made to say so; never rejects. */
  readonly begun: Promise<void> | undefined;
  /** Resolves with how it ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Kills it, if it has not ended, whatever is known of it otherwise. */
  kill(): void;
  /** The daemon may exit without waiting for it. */
  unref(): void;
}

type Streams = { readonly [kind in "o" | "e"]: OutputStream } & { readonly s: OutputStream | undefined };

interface Start {
  readonly streams: Streams;
  readonly deadline: NodeJS.Timeout;
  readonly begun: Promise<void> | undefined;
  resolve(process: SpawnedProcess): void;
  reject(error: ExecutorError): void;
}

/** Something else that it has been asked for. */
interface Ask {
  resolve(): void;
  reject(error: ExecutorError): void;
}

interface Live {
  readonly exited: Promise<ExitStatus>;
  end(status: ExitStatus): void;
  unref(): void;
}

interface Program {
  readonly child: ChildProcess;
  readonly control: Socket;
}

/**
 * Starts processes by a small program of ours instead of by a fork of this large one. That program is their parent: when this
 * daemon ends, however it does, it kills them and all that descends from them. If it is killed itself, they end with it, and the
 * next start begins a new one.
 */
export class Spawner {
  /** Of the program. */
  readonly path: string;
  readonly #deadlineMs: number;
  readonly #starts = new Map<number, Start>();
  readonly #asks = new Map<number, Ask>();
  /** By request, who waits for what runs behind walls to begin. */
  readonly #begins = new Map<number, () => void>();
  readonly #live = new Map<number, Live>();
  /** By request and kind, what has not ended. */
  readonly #outputs = new Map<string, PassedOutput>();
  #program: Program | undefined;
  #nextId = 1;
  /** What the daemon's own end has to wait for. */
  #held = 0;
  #isClosing = false;

  private constructor(path: string, deadlineMs: number) {
    this.path = path;
    this.#deadlineMs = deadlineMs;
  }

  /** @param folder of ours, for the program. @throws {@link ExecutorError} ENGINE_UNAVAILABLE. */
  static async open(folder: string, deadlineMs = START_DEADLINE_MS): Promise<Spawner> {
    const spawner = new Spawner(writeSpawnerProgram(folder), deadlineMs);
    try {
      await spawner.#running();
    } catch (error) {
      spawner.close();
      const reason = `the program that starts tasks does not run from ${folder}${hintOf(error)}`;
      throw new ExecutorError("ENGINE_UNAVAILABLE", { reason }, { cause: error });
    }
    return spawner;
  }

  /** Resolves once the process exists. @throws {@link ExecutorError} SANDBOX_START_FAILED; ENGINE_UNAVAILABLE, where the program fails us. */
  async start(request: SpawnRequest): Promise<SpawnedProcess> {
    const id = this.#takeId();
    const frame = encodeRequest(id, request);
    this.#hold();
    try {
      const { control } = await this.#running();
      return await new Promise<SpawnedProcess>((resolve, reject) => {
        const deadline = setTimeout(() => this.#giveUp(id), this.#deadlineMs);
        const isWalled = request.walls !== undefined;
        const begun = isWalled ? this.#willBegin(id) : undefined;
        const s = isWalled ? undefined : this.#willPrint(id, "s");
        const streams = { o: this.#willPrint(id, "o"), e: this.#willPrint(id, "e"), s };
        this.#starts.set(id, { streams, deadline, begun, resolve, reject });
        control.write(frame);
      });
    } catch (error) {
      if (error instanceof ExecutorError) throw error;
      const reason = "the process could not be made";
      throw new ExecutorError("SANDBOX_START_FAILED", { reason }, { cause: error });
    } finally {
      this.#letGo();
    }
  }

  /** The program that runs now; another one keeps no view of this one's. */
  get program(): object | undefined {
    return this.#program;
  }

  /**
   * Has the files that a process of its own sees kept under a number below {@link MOST_VIEWS}.
   *
   * @throws {@link ExecutorError} SANDBOX_START_FAILED, where there is no such process any more; ENGINE_UNAVAILABLE.
   */
  async keepView(place: number, pid: number): Promise<void> {
    await this.#ask(this.#program, (id) => encodeKeep(id, place, pid));
  }

  /** Resolves once the program has answered; begins one where there is none. @throws {@link ExecutorError} ENGINE_UNAVAILABLE. */
  async hail(): Promise<void> {
    await this.#ask(await this.#running(), encodeHail);
  }

  /** Removes empty directories, of which some may be gone. @throws {@link ExecutorError} SANDBOX_START_FAILED, where one is not empty. */
  async removeDirectories(directories: readonly string[]): Promise<void> {
    await this.#ask(this.#program, (id) => encodeRemove(id, directories));
  }

  async #ask(program: Program | undefined, frameFor: (id: number) => Buffer): Promise<void> {
    const id = this.#takeId();
    this.#hold();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#asks.set(id, { resolve, reject });
        if (program === undefined) this.#fail(id, LOST);
        else program.control.write(frameFor(id));
      });
    } finally {
      this.#letGo();
    }
  }

  letGoOfView(place: number): void {
    this.#program?.control.write(encodeLetGo(place));
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId = (id % 0xffff_ffff) + 1;
    return id;
  }

  #willBegin(id: number): Promise<void> {
    return new Promise((resolve) => {
      this.#begins.set(id, resolve);
    });
  }

  #willPrint(id: number, kind: StreamKind): PassedOutput {
    const steer = (how: Steering): void => {
      this.#program?.control.write(encodeSteering(id, kind, how));
    };
    const output = new PassedOutput(steer, this.#holdOnce());
    this.#outputs.set(`${kind}${id}`, output);
    return output;
  }

  /** Nothing can be started any more; what runs runs on, for as long as this daemon does. */
  close(): void {
    this.#isClosing = true;
    this.#endIfIdle();
  }

  async #running(): Promise<Program> {
    if (this.#program !== undefined) return this.#program;
    const stdio = ["ignore", "ignore", "ignore", "pipe"] as const;
    const child = spawn(this.path, ["serve"], { stdio: [...stdio], detached: true, env: {} });
    if (child.pid === undefined) throw await whyNotMade(child);
    const control = child.stdio[CONTROL_FD] as unknown as Socket;
    const program = { child, control };
    this.#program = program;
    const reader = new ReportReader();
    control.on("data", (bytes: Buffer) => {
      for (const report of reader.read(bytes)) this.#take(report, child.pid as number);
    });
    control.on("error", () => undefined);
    control.once("close", () => this.#lose(program));
    child.on("error", () => control.destroy());
    child.unref();
    if (this.#held === 0) control.unref();
    await once(child, "spawn");
    return program;
  }

  #take(report: SpawnReport, parent: number): void {
    switch (report.type) {
      case "ended":
        this.#live.get(report.pid)?.end(exitStatusOf(report.status));
        return;
      case "failed": {
        const reason = `the process could not be made: ${getSystemErrorName(-report.errno)}`;
        this.#fail(report.id, reason, "SANDBOX_START_FAILED");
        return;
      }
      case "begun":
        this.#begins.get(report.id)?.();
        return;
      case "output":
        this.#outputs.get(`${report.kind}${report.id}`)?.take(report.bytes);
        return;
      case "closed":
        this.#endOutput(report.id, report.kind);
        this.#endIfIdle();
        return;
      case "started":
        this.#takeStarted(report.id, report.pid, parent);
    }
  }

  /** It was carried out: a start, or something else that was asked for. */
  #takeStarted(id: number, pid: number, parent: number): void {
    const ask = this.#asks.get(id);
    if (ask !== undefined) {
      this.#asks.delete(id);
      ask.resolve();
      return;
    }
    const start = this.#starts.get(id);
    if (start === undefined) {
      // Given up meanwhile.
      this.#kill(pid);
      return;
    }
    this.#starts.delete(id);
    clearTimeout(start.deadline);
    const facts = factsOf(pid);
    // It may have ended, and its id be another's: then that is no child of our program.
    const startTicks = facts?.parent === parent ? facts.startTicks : undefined;
    const { streams, begun } = start;
    const live = this.#watch(pid, id);
    const kill = (): void => {
      if (this.#live.get(pid) === live) this.#kill(pid);
    };
    start.resolve({ pid, startTicks, streams, begun, exited: live.exited, kill, unref: () => live.unref() });
  }

  #endOutput(id: number, kind: StreamKind): void {
    const output = this.#outputs.get(`${kind}${id}`);
    this.#outputs.delete(`${kind}${id}`);
    output?.end();
  }

  /** From here on its end is seen. */
  #watch(pid: number, id: number): Live {
    const letGo = this.#holdOnce();
    let tell: (status: ExitStatus) => void = () => undefined;
    const exited = new Promise<ExitStatus>((resolve) => {
      tell = resolve;
    });
    const live: Live = {
      exited,
      unref: () => {
        letGo();
        for (const kind of STREAM_KINDS) this.#outputs.get(`${kind}${id}`)?.unref();
      },
      end: (status) => {
        this.#live.delete(pid);
        this.#begins.delete(id);
        letGo();
        tell(status);
        this.#endIfIdle();
      },
    };
    this.#live.set(pid, live);
    return live;
  }

  /** The program is held up. What it starts even so is killed then. */
  #giveUp(id: number): void {
    this.#fail(id, `the process was not there within ${this.#deadlineMs} ms`);
  }

  /** @param code says whose fault it was: where the program does not do its work, it is not the task's. */
  #fail(
    id: number,
    reason: string,
    code: "SANDBOX_START_FAILED" | "ENGINE_UNAVAILABLE" = "ENGINE_UNAVAILABLE",
  ): void {
    const ask = this.#asks.get(id);
    this.#asks.delete(id);
    ask?.reject(new ExecutorError(code, { reason }));
    const start = this.#starts.get(id);
    if (start === undefined) return;
    this.#starts.delete(id);
    this.#begins.delete(id);
    clearTimeout(start.deadline);
    for (const kind of STREAM_KINDS) this.#endOutput(id, kind);
    start.reject(new ExecutorError(code, { reason }));
    this.#endIfIdle();
  }

  /** By its parent, who alone knows for sure whose id that is; and no file need be opened for it. */
  #kill(pid: number): void {
    this.#program?.control.write(encodeKill(pid));
  }

  #hold(): void {
    this.#held += 1;
    if (this.#held === 1) this.#program?.control.ref();
  }

  /** Returns what lets go of it, the first time. */
  #holdOnce(): () => void {
    let isHeld = true;
    this.#hold();
    return () => {
      if (isHeld) this.#letGo();
      isHeld = false;
    };
  }

  #letGo(): void {
    this.#held -= 1;
    if (this.#held === 0) this.#program?.control.unref();
  }

  #endIfIdle(): void {
    if (!this.#isClosing || this.#live.size > 0 || this.#starts.size > 0) return;
    // Its last words are read; whoever of it holds its output open beyond them ends with the program.
    for (const output of this.#outputs.values()) output.close();
    if (this.#outputs.size === 0) this.#program?.control.end();
  }

  /** It is gone, and with it all that it had started. */
  #lose(program: Program): void {
    if (this.#program === program) this.#program = undefined;
    for (const id of [...this.#starts.keys(), ...this.#asks.keys()]) this.#fail(id, LOST);
    for (const live of [...this.#live.values()]) live.end(UNSEEN);
    for (const output of this.#outputs.values()) output.end();
    this.#outputs.clear();
  }
}

/** What an operator can do about it. @see execve(2), "EACCES". */
function hintOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) return "";
  return code === "EACCES" ? " (EACCES: that disk may be mounted noexec)" : ` (${code})`;
}
