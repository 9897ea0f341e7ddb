import { ExecutorError } from "../../../core/index.ts";
import { sleep } from "../../../std/index.ts";
import type { Cgroup, CgroupUsage } from "../cgroup/cgroup.ts";
import { killAll } from "../cgroup/cgroup.ts";
import { factsOf, familyOf, groupMembers, isSameProcess } from "../process-table.ts";

/** How long the kernel may take to freeze a group, and to let go of one whose processes are dead. */
const FREEZE_DEADLINE_MS = 3000;
const REMOVE_DEADLINE_MS = 5000;

export interface TaskProcessesOptions {
  /** The first process; also the id of the process group that it made. */
  readonly leader: number;
  /** When it started: what has its id but started at another time is somebody else. */
  readonly startTicks: number | undefined;
  /** Kills the first process, for where nobody could look when that started. */
  killLeader?(): void;
  /** The group of the task's own program, once it is known. */
  group(): number | undefined;
  /** Where the kernel itself keeps count of them; otherwise they are found by descent and process group. */
  readonly cgroup: Cgroup | undefined;
  readonly freezesByCgroup: boolean;
  /** Removes empty directories in a thread or program of its own. */
  removeDirectories?(directories: readonly string[]): Promise<void>;
  /** Further processes that are known by other marks, where there is no cgroup. */
  strays?(): readonly number[];
}

/** All processes of one sandbox, as one. */
export class TaskProcesses {
  readonly #leader: number;
  readonly #startTicks: number | undefined;
  readonly #killLeader: () => void;
  readonly #group: () => number | undefined;
  readonly #cgroup: Cgroup | undefined;
  readonly #freezesByCgroup: boolean;
  readonly #strays: () => readonly number[];
  readonly #removeDirectories: TaskProcessesOptions["removeDirectories"];
  #isLeaderGone = false;
  #areAllGone = false;

  constructor({ leader, startTicks, group, cgroup, freezesByCgroup, ...rest }: TaskProcessesOptions) {
    this.#startTicks = startTicks;
    this.#strays = rest.strays ?? (() => []);
    this.#removeDirectories = rest.removeDirectories;
    this.#killLeader = rest.killLeader ?? (() => undefined);
    this.#leader = leader;
    this.#group = group;
    this.#cgroup = cgroup;
    this.#freezesByCgroup = freezesByCgroup && cgroup !== undefined;
  }

  /**
   * The first process has been waited for: nobody need look for it, or for what descends from it.
   *
   * @param wasFirst whether the kernel has ended all the others with it. @see pid_namespaces(7), "The namespace init process".
   */
  leaderHasEnded(wasFirst: boolean): void {
    this.#isLeaderGone = true;
    this.#areAllGone = wasFirst;
  }

  list(): readonly number[] {
    if (this.#areAllGone) return [];
    // The first process is in no cgroup until it has joined, and a start may be given up before that.
    const isSame =
      !this.#isLeaderGone && this.#startTicks !== undefined && isSameProcess(this.#leader, this.#startTicks);
    const family = isSame ? familyOf(this.#leader) : [];
    if (this.#cgroup !== undefined) return [...new Set([...this.#cgroup.processes(), ...family])];
    return [...new Set([...family, ...groupMembers(this.#leader), ...this.#strays()])];
  }

  /** Asks the task's own program and what it started to end. Frozen, it would not hear it. */
  terminate(): void {
    const group = this.#group();
    if (group === undefined) this.kill();
    else killAll([-group], "SIGTERM");
  }

  kill(): void {
    killAll(this.list(), "SIGKILL");
    this.#cgroup?.kill();
    if (this.#startTicks === undefined) this.#killLeader();
  }

  /** How often the kernel killed one of them for want of memory. */
  memoryKills(): number {
    return this.#cgroup?.memoryKills() ?? 0;
  }

  /** @throws the signal's reason, or ENGINE_FAILED when some of it would not stop; it then runs on. */
  async freeze(signal: AbortSignal): Promise<void> {
    const cgroup = this.#freezesByCgroup ? this.#cgroup : undefined;
    const isFrozen = await until(FREEZE_DEADLINE_MS, signal, () => {
      if (cgroup === undefined) return this.#stopAll();
      // Asked again each time: on v1 a group that forks while it is frozen may stay half-way.
      cgroup.setFrozen(true);
      return cgroup.isFrozen();
    }).catch((error: unknown) => {
      this.#thawNow();
      throw error;
    });
    if (isFrozen) return;
    this.#thawNow();
    throw new ExecutorError("ENGINE_FAILED", { reason: "the sandbox could not be frozen" });
  }

  async thaw(signal: AbortSignal): Promise<void> {
    this.#thawNow();
    const cgroup = this.#freezesByCgroup ? this.#cgroup : undefined;
    if (cgroup === undefined) return;
    if (await until(FREEZE_DEADLINE_MS, signal, () => !cgroup.isFrozen())) return;
    throw new ExecutorError("ENGINE_FAILED", { reason: "the sandbox could not be thawed" });
  }

  /** What the kernel kept count of, once all have ended; `undefined` where it does not. */
  finalUsage(): CgroupUsage | undefined {
    return this.#cgroup?.finalUsage();
  }

  usage(): CgroupUsage {
    const counted = this.#cgroup?.usage();
    if (counted !== undefined) return counted;
    const facts = this.list().flatMap((pid) => factsOf(pid) ?? []);
    const sum = (of: (one: (typeof facts)[number]) => number): number =>
      facts.reduce((all, one) => all + of(one), 0);
    return {
      cpuMs: sum((one) => one.cpuMs),
      memoryBytes: sum((one) => one.residentBytes),
      memoryPeakBytes: undefined,
    };
  }

  /** Kills whatever still runs, again and again while there is something. Resolves with whether nothing is left. */
  async sweep(): Promise<boolean> {
    return await until(REMOVE_DEADLINE_MS, undefined, () => {
      if (this.list().length === 0) return true;
      this.kill();
      return this.list().length === 0;
    });
  }

  /** Removes the cgroup, which the kernel may call busy for a moment after the last process. */
  async remove(): Promise<void> {
    if (this.#cgroup === undefined) return;
    const [cgroup, removeDirectories] = [this.#cgroup, this.#removeDirectories];
    if (removeDirectories !== undefined && (await cgroup.removeBy(removeDirectories))) return;
    // Somebody else may have put a process there.
    this.#areAllGone = false;
    await this.sweep();
    if (await until(REMOVE_DEADLINE_MS, undefined, () => cgroup.remove())) return;
    const reason = `the cgroup of the sandbox is still in use by ${this.list().length} processes`;
    throw new ExecutorError("ENGINE_FAILED", { reason });
  }

  #thawNow(): void {
    if (this.#freezesByCgroup) this.#cgroup?.setFrozen(false);
    else killAll(this.list(), "SIGCONT");
  }

  /** One pass; done when a pass finds every process stopped already, so that nothing was forked meanwhile. */
  #stopAll(): boolean {
    const running = this.list().filter((pid) => !/^[TtZX]$/.test(factsOf(pid)?.state ?? "X"));
    killAll(running, "SIGSTOP");
    return running.length === 0;
  }
}

/** Kills what is in a group that nobody takes charge of, and removes it. Resolves with whether it is gone. */
export async function clearCgroup(cgroup: Cgroup): Promise<boolean> {
  return await until(REMOVE_DEADLINE_MS, undefined, () => {
    cgroup.kill();
    return cgroup.remove();
  });
}

/** Asks with growing pauses until it is so, or the time is over. */
async function until(
  deadlineMs: number,
  signal: AbortSignal | undefined,
  isSo: () => boolean,
): Promise<boolean> {
  const endMs = performance.now() + deadlineMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(50, pauseMs * 2)) {
    signal?.throwIfAborted();
    if (isSo()) return true;
    if (performance.now() >= endMs) return false;
    await sleep(pauseMs, signal);
  }
}
