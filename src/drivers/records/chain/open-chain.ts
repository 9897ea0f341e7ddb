import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Mark } from "../../../core/index.ts";
import { GAP_REASONS } from "../../../core/index.ts";
import { receiptKey } from "../../../std/receipts/index.ts";
import { translateAt } from "../translate-failure.ts";
import type { SentBatch } from "./attempt-rows.ts";
import { ChainStore } from "./chain-store.ts";
import type { Appended, ChainPlace, ChainWriter } from "./chain-writer.ts";
import type { OpenDatabase } from "./open-database.ts";
import { openDatabase } from "./open-database.ts";
import { readDatabase } from "./read-database.ts";

/** What a chain can be asked on its own thread: each is done when it returns. */
export type ChainVerbs = {
  readonly [Verb in keyof ChainWriter]: (
    ...args: Parameters<ChainWriter[Verb]>
  ) => Awaited<ReturnType<ChainWriter[Verb]>>;
};

/** @throws {@link ExecutorError} RECORDS_UNAVAILABLE, DISK_FULL. */
export function openChain(Libsql: OpenDatabase, place: ChainPlace): ChainVerbs {
  try {
    return inOurWords(openVerbs(Libsql, place), place.file);
  } catch (error) {
    throw translateAt(error, place.file);
  }
}

function openVerbs(Libsql: OpenDatabase, place: ChainPlace): ChainVerbs {
  const { file, keyFile, limits } = place;
  const privateKey = createPrivateKey(readFileSync(keyFile));
  const key = receiptKey(privateKey);
  const nowUs = (): number => Date.now() * 1000;
  const write = (): ChainVerbs => {
    const { connection, setAside } = openDatabase(Libsql, file, key);
    const store = new ChainStore({ connection, privateKey, key, limits, nowUs });
    return verbsOf(store, place, nowUs, setAside);
  };
  try {
    return write();
  } catch (error) {
    if (translateAt(error, file).code !== "DISK_FULL") throw error;
    const connection = readDatabase(Libsql, file, key);
    if (connection === undefined) throw error;
    return readingVerbs(new ChainStore({ connection, privateKey, key, limits, nowUs }), write);
  }
}

/** What is there can be read, and every batch tries anew whether there is room for it. */
function readingVerbs(store: ChainStore, write: () => ChainVerbs): ChainVerbs {
  let writable: ChainVerbs | undefined;
  return {
    append: (batch: SentBatch): Appended => {
      if (writable === undefined) {
        writable = write();
        store.close();
      }
      return writable.append(batch);
    },
    list: (filter) => (writable ?? store).list(filter),
    get: (id) => (writable ?? store).get(id),
    receipt: (id) => (writable ?? store).receipt(id),
    beginExport: (from, to) => (writable ?? store).beginExport(from, to),
    exportNext: (state) => (writable ?? store).exportNext(state),
    close: () => (writable ?? store).close(),
  };
}

function verbsOf(
  store: ChainStore,
  { version, isKeyNew }: ChainPlace,
  nowUs: () => number,
  setAside: string | undefined,
): ChainVerbs {
  let hasOpened = false;
  const isAnew = !isKeyNew && store.position.seq === 0;
  /** Before the first entry of a life: who writes now, and whether the life before it was cut off. */
  const opening = (): Mark[] => {
    if (hasOpened) return [];
    const newest = store.newest();
    const isAfterCrash = newest !== undefined && newest.type !== "closed";
    const atUs = nowUs();
    const gap: Mark[] = isAfterCrash ? [{ type: "gap", atUs, reason: "crash" }] : [];
    return [...gap, { type: "opened", atUs, version, ...(isAnew ? { isAnew } : {}) }];
  };
  return {
    append: (batch: SentBatch): Appended => {
      store.append([...opening(), ...marksOf(batch, nowUs())], batch);
      hasOpened = true;
      const { records, bytes } = store.position;
      return { written: batch.count, records, bytes, setAside, isAnew };
    },
    list: (filter) => store.list(filter),
    get: (id) => store.get(id),
    receipt: (id) => store.receipt(id),
    beginExport: (from, to) => store.beginExport(from, to),
    exportNext: (state) => store.exportNext(state),
    close: () => {
      try {
        if (hasOpened) store.append([{ type: "closed", atUs: nowUs() }]);
      } finally {
        store.close();
      }
    },
  };
}

/** What the chain is to say of attempts that are not in the batch. */
function marksOf({ lost: losses, counted }: SentBatch, atUs: number): readonly Mark[] {
  const gaps = GAP_REASONS.flatMap((reason): Mark[] => {
    const lost = losses[reason];
    return lost === undefined ? [] : [{ type: "gap", atUs, reason, lost }];
  });
  if (Object.keys(counted).length === 0) return gaps;
  return [...gaps, { type: "refused", atUs, counts: counted }];
}

function inOurWords(verbs: ChainVerbs, file: string): ChainVerbs {
  const wrapped = Object.entries(verbs).map(([name, verb]) => [
    name,
    (...args: unknown[]): unknown => {
      try {
        return (verb as (...args: unknown[]) => unknown)(...args);
      } catch (error) {
        throw translateAt(error, file);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as ChainVerbs;
}
