import { statfs } from "node:fs/promises";
import type { Clock, DiskAnswer, DiskFacts, DiskLimits, HostDisk, Log } from "../../../core/index.ts";
import { diskAnswer, diskReserve, ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import { pause } from "../../../std/index.ts";
import { folderBytes } from "./folder-bytes.ts";

/** How often it is asked how full the file system is: one call, while jobs run. */
const LOOK_MS = 250;
/** How often each job's folder is measured, unless the disk fills faster. */
const MEASURE_MS = 5_000;
/** Measuring takes no more than one part in so many of the time. */
const REST = 20;
/** All are measured at once when so much of the reserve's size has been written since. */
const ALARM_PART = 0.25;
/** With fewer places for files left than this part of all, each file counts for the room that its place stands for. */
const SCARCE_FILES = 0.2;
/** Some file systems cannot tell how full they are, such as some that are mounted over a network: then nothing is counted. */
const ENDLESS: Space = {
  totalBytes: Number.MAX_SAFE_INTEGER,
  freeBytes: Number.MAX_SAFE_INTEGER,
  entryBytes: 0,
};

/** The disk that one job may fill. */
export interface DiskShare {
  readonly limitBytes: number;
  /** When it was last measured. */
  readonly usedBytes: number;
  /** From now on its folder is measured. @param onOver called once, when it is above its limit. */
  watch(folder: string, onOver: () => void): void;
  /** Nothing of it is left. */
  release(): void;
}

interface HeldShare {
  readonly limitBytes: number;
  usedBytes: number;
  folder: string | undefined;
  onOver: () => void;
  dueAtMs: number;
}

interface Space extends Pick<DiskFacts, "totalBytes" | "freeBytes"> {
  /** What a file counts at least; 0 unless places for files are short. */
  readonly entryBytes: number;
}

/**
 * The file system that work folders are on: how much each job may fill of it, and who fills more. A limit is kept by looking,
 * which holds on every file system and for every driver (ADR 0037).
 */
export class JobDisk {
  readonly #folder: string;
  readonly #limits: DiskLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #hostDisk: HostDisk | undefined;
  readonly #shares = new Set<HeldShare>();
  /** Wakes those who wait for a share. */
  readonly #waiting = new Set<() => void>();
  #space: Space | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** How much was free when all were last measured. */
  #measuredFreeBytes = Number.POSITIVE_INFINITY;
  #isLow = false;
  /** Whether somebody was told that there is no room, and wants to hear of it. */
  #isAwaited = false;

  constructor(
    folder: string,
    limits: DiskLimits,
    {
      clock,
      log,
      hostDisk,
    }: { readonly clock: Clock; readonly log: Log; readonly hostDisk?: HostDisk | undefined },
  ) {
    this.#folder = folder;
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
    this.#hostDisk = hostDisk;
  }

  /** Says at the start that what is to be left free is all that there is, so that no job will ever have room. */
  async warnOfReserve(): Promise<void> {
    const { totalBytes } = await this.#look();
    const reserveBytes = diskReserve({ totalBytes }, this.#limits);
    if (reserveBytes < totalBytes) return;
    const folder = this.#folder;
    const setting = "stream.disk_reserve";
    this.#log.log("error", "work-folder.reserved", { setting, reserveBytes, totalBytes, folder });
  }

  /** Whether a job that says so much, or nothing, would fit now, as far as is known without looking. */
  fits(wishBytes: number | undefined): boolean {
    if (this.#space === undefined) return true;
    const { type } = diskAnswer(this.#facts(this.#space), this.#limits, wishBytes);
    this.#isAwaited ||= type !== "grant";
    return type === "grant";
  }

  /** @throws {@link ExecutorError} RESOURCES_EXCEED_LIMIT when a job's files will never fit. */
  async check(wishBytes: number | undefined): Promise<void> {
    const facts = this.#facts(await this.#look());
    this.#refuse(facts, diskAnswer(facts, this.#limits, wishBytes));
  }

  /**
   * Waits until a job's files fit.
   *
   * @throws {@link ExecutorError} as `check`; the signal's reason.
   */
  async take(wishBytes: number | undefined, signal: AbortSignal): Promise<DiskShare> {
    for (;;) {
      signal.throwIfAborted();
      const facts = this.#facts(await this.#look());
      const answer = diskAnswer(facts, this.#limits, wishBytes);
      if (answer.type === "grant") return this.#give(answer.bytes);
      this.#refuse(facts, answer);
      await this.#untilReleased(signal);
    }
  }

  /** The share of a job that runs already, whether there is room or not. */
  async keep(wishBytes: number | undefined): Promise<DiskShare> {
    const facts = this.#facts(await this.#look());
    return this.#give(Math.max(1, diskAnswer(facts, this.#limits, wishBytes).bytes));
  }

  /** Measures what runs until the signal aborts. */
  async watchAll(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.#clock, LOOK_MS, signal);
      if (signal.aborted) return;
      if (this.#shares.size > 0) await this.#measureDue(signal);
      else await this.#lookIdly();
    }
  }

  /** Nobody of ours writes: it is asked only for those who wait for room. */
  async #lookIdly(): Promise<void> {
    this.#measuredFreeBytes = Number.POSITIVE_INFINITY;
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    await this.#look();
  }

  #refuse(facts: DiskFacts, { type, bytes }: DiskAnswer): void {
    if (type !== "never") return;
    throw new ExecutorError("RESOURCES_EXCEED_LIMIT", {
      field: "disk",
      asked: Math.ceil(bytes / MEBIBYTE),
      limit: Math.floor((facts.totalBytes - diskReserve(facts, this.#limits)) / MEBIBYTE),
    });
  }

  #facts({ totalBytes, freeBytes }: Space): DiskFacts {
    let usedBytes = 0;
    let promisedBytes = 0;
    for (const share of this.#shares) {
      usedBytes += Math.min(share.usedBytes, share.limitBytes);
      promisedBytes += share.limitBytes;
    }
    return { totalBytes, freeBytes, usedBytes, promisedBytes };
  }

  #give(limitBytes: number): DiskShare {
    const share: HeldShare = {
      limitBytes,
      usedBytes: 0,
      folder: undefined,
      onOver: () => undefined,
      dueAtMs: this.#clock.nowMs() + MEASURE_MS,
    };
    this.#shares.add(share);
    const giveBack = this.#hostDisk?.book(limitBytes);
    return {
      limitBytes,
      get usedBytes() {
        return share.usedBytes;
      },
      watch: (folder, onOver) => {
        share.folder = folder;
        share.onOver = onOver;
      },
      release: () => {
        this.#shares.delete(share);
        giveBack?.();
        for (const wake of [...this.#waiting]) wake();
      },
    };
  }

  /** Until somebody gives a share back, or until it is worth looking again: others than jobs may have made room. */
  async #untilReleased(signal: AbortSignal): Promise<void> {
    let own: (() => void) | undefined;
    await pause(this.#clock, LOOK_MS, signal, (wake) => {
      if (own !== undefined) this.#waiting.delete(own);
      own = wake;
      if (wake !== undefined) this.#waiting.add(wake);
    });
  }

  /** How full it is; a moment ago is good enough. */
  async #look(): Promise<Space> {
    const nowMs = this.#clock.nowMs();
    if (this.#space !== undefined && nowMs - this.#lookedAtMs < LOOK_MS) return this.#space;
    const space = await spaceOf(this.#folder);
    this.#space = space;
    this.#lookedAtMs = nowMs;
    this.#noteLow(space);
    return space;
  }

  #noteLow(space: Space): void {
    const isLow = space.freeBytes < diskReserve(space, this.#limits);
    if (isLow && !this.#isLow)
      this.#log.log("warn", "work-folder.low", { freeBytes: space.freeBytes, jobs: this.#shares.size });
    this.#isLow = isLow;
  }

  async #measureDue(signal: AbortSignal): Promise<void> {
    const space = await this.#look();
    const isAlarm = this.#measuredFreeBytes - space.freeBytes > diskReserve(space, this.#limits) * ALARM_PART;
    const nowMs = this.#clock.nowMs();
    const due = [...this.#shares].filter(({ dueAtMs }) => isAlarm || dueAtMs <= nowMs);
    // One that frees space does not hide another that fills it.
    this.#measuredFreeBytes = isAlarm
      ? space.freeBytes
      : Math.max(space.freeBytes, Math.min(this.#measuredFreeBytes, space.totalBytes));
    for (const share of due)
      if (share.folder !== undefined) await this.#measure(share, share.folder, space, signal);
  }

  async #measure(share: HeldShare, folder: string, space: Space, signal: AbortSignal): Promise<void> {
    const fromMs = this.#clock.nowMs();
    const usedBytes = await folderBytes(folder, signal, space.entryBytes);
    if (signal.aborted) return;
    share.usedBytes = usedBytes;
    const toMs = this.#clock.nowMs();
    share.dueAtMs = toMs + Math.max(MEASURE_MS, (toMs - fromMs) * REST);
    if (usedBytes <= share.limitBytes || !this.#shares.has(share)) return;
    const { onOver } = share;
    share.onOver = () => undefined;
    onOver();
  }
}

async function spaceOf(folder: string): Promise<Space> {
  const space = await statfs(folder).catch(() => undefined);
  if (space === undefined || space.blocks === 0) return ENDLESS;
  const { bsize, blocks, bavail, files, ffree } = space;
  const totalBytes = bsize * blocks;
  const freeBytes = bsize * bavail;
  if (files === 0 || ffree >= files * SCARCE_FILES) return { totalBytes, freeBytes, entryBytes: 0 };
  const entryBytes = totalBytes / files;
  return { totalBytes, freeBytes: Math.min(freeBytes, ffree * entryBytes), entryBytes };
}
