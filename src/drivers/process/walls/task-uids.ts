import { createHash } from "node:crypto";

/** Uids that no distribution hands out: above systemd's container range, below its reserved last ones. */
const FIRST_UID = 2_000_000_000;
/** Each owner has a block of its own, so that two daemons on one host seldom share one. */
const BLOCKS = 10_000;
const BLOCK_SIZE = 4096;
/** `nobody`, where the own range is not mapped: one uid for all tasks. */
const SHARED_UID = 65_534;

/** Hands out uids to sandboxes: one each while they last. */
export interface TaskUids {
  /** Whether each sandbox has one to itself. */
  readonly isOwn: boolean;
  take(): number;
  giveBack(uid: number): void;
  /** Whether a socket's uid is one that tasks of this owner run under. */
  isTask(uid: number): boolean;
}

/**
 * @param uidMap the text of `/proc/self/uid_map`: which uids exist here.
 * @returns `undefined` when no uid of tasks' own exists here.
 */
export function openTaskUids(owner: string, uidMap: string): TaskUids | undefined {
  const block = createHash("sha256").update(owner).digest().readUInt32BE(0) % BLOCKS;
  const first = FIRST_UID + block * BLOCK_SIZE;
  if (isMapped(uidMap, first, BLOCK_SIZE)) return new OwnUids(first);
  if (isMapped(uidMap, SHARED_UID, 1))
    return {
      isOwn: false,
      take: () => SHARED_UID,
      giveBack: () => undefined,
      isTask: (uid) => uid === SHARED_UID,
    };
  return undefined;
}

class OwnUids implements TaskUids {
  readonly isOwn = true;
  readonly #first: number;
  readonly #taken = new Set<number>();
  #next = 0;

  constructor(first: number) {
    this.#first = first;
  }

  /** Goes round the block, so that a uid is not used again soon after its last sandbox. */
  take(): number {
    for (let step = 0; step < BLOCK_SIZE; step += 1) {
      const uid = this.#first + ((this.#next + step) % BLOCK_SIZE);
      if (this.#taken.has(uid)) continue;
      this.#taken.add(uid);
      this.#next = uid - this.#first + 1;
      return uid;
    }
    // More sandboxes than uids: from here on some share one, which weakens nothing but the check of who listens.
    return this.#first;
  }

  giveBack(uid: number): void {
    this.#taken.delete(uid);
  }

  isTask(uid: number): boolean {
    return uid >= this.#first && uid < this.#first + BLOCK_SIZE;
  }
}

function isMapped(uidMap: string, first: number, count: number): boolean {
  return uidMap.split("\n").some((line) => {
    const [inside, , length] = line.trim().split(/\s+/).map(Number);
    return (
      inside !== undefined && length !== undefined && inside <= first && first + count <= inside + length
    );
  });
}
