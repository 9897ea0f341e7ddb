import { renameSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputOf } from "./run-program.ts";

/**
 * A stand-in for the NVIDIA driver on machines that have none: a library `libnvidia-ml.so.1` that tells what a test wants it
 * to tell (`fake-nvml/fake-nvml.c`). It shows how Hearth reads cards, not how a real driver behaves.
 */
export interface FakeNvml extends AsyncDisposable {
  /** For `LD_LIBRARY_PATH`. */
  readonly folder: string;
  readonly library: string;
  /** Four cards of two models, all idle and well. */
  readonly cards: readonly FakeCard[];
  /** Changes one of the cards. */
  set(index: number, change: Partial<FakeCard>): void;
  /** What else the library does: lines of its state file, such as `hang memory`; without any, all is well again. */
  behave(...lines: readonly string[]): void;
}

export interface FakeCard {
  readonly id: string;
  readonly model: string;
  readonly totalMib: number;
  readonly usedMib: number;
  readonly computePercent: number;
  readonly minor: number;
  readonly pids: readonly number[];
  readonly eccErrors: number;
  /** What NVML returns for every call about it; 15 is a card that fell off the bus. */
  readonly code: number;
  /** Whether the driver lists it at all. */
  readonly isListed: boolean;
}

const source = fileURLToPath(new URL("fake-nvml/fake-nvml.c", import.meta.url));

/** Builds it with gcc. @param options `isOld`: only with the first versions of the functions, as in drivers of long ago. */
export async function openFakeNvml({ isOld = false } = {}): Promise<FakeNvml> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-nvml-"));
  const library = join(folder, "libnvidia-ml.so.1");
  await outputOf("gcc", [
    "-shared",
    "-fPIC",
    "-O1",
    ...(isOld ? ["-DOLD"] : []),
    "-o",
    library,
    source,
    "-ldl",
  ]);
  const cards = [0, 1, 2, 3].map(fourCards);
  let lines: readonly string[] = [];
  const write = (): void => {
    const state = [...cards.filter(({ isListed }) => isListed).map(toLine), ...lines, ""].join("\n");
    // By rename: the library reads it at any moment.
    writeFileSync(join(folder, "next"), state);
    renameSync(join(folder, "next"), join(folder, "state"));
  };
  write();
  return {
    folder,
    library,
    cards,
    set(index, change) {
      const card = cards[index];
      if (card === undefined) throw new Error(`there is no card ${index}`);
      cards[index] = { ...card, ...change };
      write();
    },
    behave(...wanted) {
      lines = wanted;
      write();
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function fourCards(index: number): FakeCard {
  const isLarge = index < 2;
  return {
    id: `GPU-${String(index).repeat(8)}-aaaa-bbbb-cccc-dddddddddddd`,
    model: isLarge ? "NVIDIA A100-SXM4-80GB" : "Tesla T4",
    totalMib: isLarge ? 81_920 : 15_360,
    usedMib: 1,
    computePercent: 0,
    // As on machines whose cards were not found in the order of their addresses.
    minor: 3 - index,
    pids: [],
    eccErrors: 0,
    code: 0,
    isListed: true,
  };
}

function toLine(card: FakeCard): string {
  const { id, model, totalMib, usedMib, computePercent, minor, pids, eccErrors, code } = card;
  return `card ${[id, model, totalMib, usedMib, computePercent, minor, pids.join(","), eccErrors, code].join("|")}`;
}
