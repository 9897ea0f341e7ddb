import type { SandboxEnd, SandboxUsage } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { LaunchedTask } from "./launch.ts";
import type { TaskProcesses } from "./task-processes.ts";

/** How long the output of a dead task may take to be read. */
const DRAIN_DEADLINE_MS = 500;

export interface RunningTaskOptions {
  readonly launched: LaunchedTask;
  readonly processes: TaskProcesses;
  readonly memoryBytes: number;
  /** Gives back what the task held outside of its processes: its port or network, uid, folder and record. Called last, and again after a rejection. */
  release(): Promise<void>;
}

/**
 * The life of one task's processes, from launch to the last trace:
 *
 *     running ──(exits, is killed, stop)──► sweeping ──(no process left: `ended`)──► removing ──► gone
 */
export class RunningTask {
  /** Resolves once, when no code of it runs any more; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  readonly #launched: LaunchedTask;
  readonly #processes: TaskProcesses;
  readonly #memoryBytes: number;
  readonly #release: () => Promise<void>;
  #isStopping = false;
  #isFrozen = false;
  #hasEnded = false;
  /** Whether nothing was left when it was last looked. */
  #isSwept = false;
  #figures: SandboxUsage = { cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined };
  #removal: Promise<void> | undefined;

  constructor({ launched, processes, memoryBytes, release }: RunningTaskOptions) {
    this.#launched = launched;
    this.#processes = processes;
    this.#memoryBytes = memoryBytes;
    this.#release = release;
    this.ended = this.#watch();
  }

  /** Asks, waits the grace, kills, removes. A later call with a shorter grace shortens it. */
  async stop(graceMs: number): Promise<void> {
    await this.end(graceMs);
    await this.#remove();
  }

  /** The same without waiting for the removal. */
  async end(graceMs: number): Promise<void> {
    if (this.#hasEnded) return;
    this.#isStopping = true;
    if (graceMs > 0) this.#ask();
    else this.#processes.kill();
    const escalate = setTimeout(() => this.#processes.kill(), graceMs);
    await this.ended.finally(() => clearTimeout(escalate));
  }

  async freeze(signal: AbortSignal): Promise<void> {
    this.#mustRun();
    await this.#processes.freeze(signal);
    this.#isFrozen = true;
  }

  async thaw(signal: AbortSignal): Promise<void> {
    this.#mustRun();
    await this.#processes.thaw(signal);
    this.#isFrozen = false;
  }

  usage(): SandboxUsage {
    this.#mustRun();
    return this.#processes.usage();
  }

  /** The same, and after the end what it came to, or else what was last seen of it. */
  lastUsage(): SandboxUsage {
    if (this.#hasEnded) return this.#figures;
    this.#figures = this.#processes.usage();
    return this.#figures;
  }

  unref(): void {
    this.#launched.unref();
  }

  #ask(): void {
    this.#processes.terminate();
    if (!this.#isFrozen) return;
    // The request waits at the door of a frozen task; thawed, it is the first thing that the task hears.
    this.#isFrozen = false;
    this.#processes.thaw(new AbortController().signal).catch(dropped);
  }

  async #watch(): Promise<SandboxEnd> {
    const exit = await this.#launched.exited;
    const wasStopped = this.#isStopping;
    if (exit.type !== "lost") this.#processes.leaderHasEnded(this.#launched.isFirst);
    this.#isSwept = await this.#processes.sweep();
    const isClean = exit.type === "exited" && exit.exitCode === 0;
    // What it got over is nobody's to know.
    const memoryKills = isClean || wasStopped ? 0 : this.#processes.memoryKills();
    // Where only the processes themselves told, nobody is left to ask.
    this.#figures = this.#processes.finalUsage() ?? { ...this.#figures, isEarlier: true };
    this.#hasEnded = true;
    // Begun here so that nothing waits for an owner to ask.
    this.#remove().catch(dropped);
    if (wasStopped) return { type: "stopped" };
    if (memoryKills > 0) return { type: "memory", limitBytes: this.#memoryBytes };
    return exit;
  }

  #remove(): Promise<void> {
    this.#removal ??= this.#removeOnce().catch((error: unknown) => {
      this.#removal = undefined;
      this.#isSwept = false;
      throw error;
    });
    return this.#removal;
  }

  async #removeOnce(): Promise<void> {
    if (!this.#isSwept) await this.#processes.sweep();
    await this.#processes.remove();
    // The last words are still in the pipes; a process that got away could hold these open for ever.
    const escalate = setTimeout(() => this.#launched.closeOutput(), DRAIN_DEADLINE_MS);
    await this.#launched.drained.finally(() => clearTimeout(escalate));
    await this.#release();
  }

  #mustRun(): void {
    if (this.#hasEnded) throw new ExecutorError("SANDBOX_LOST", { reason: "the task has ended" });
  }
}

/** What cannot be thawed does not hear that it should end, and the grace ends it; what cannot be removed is told by `stop`, which tries again. */
function dropped(): void {
  return undefined;
}
