import { createPrivateKey } from "node:crypto";
import { closeSync, openSync, readFileSync, renameSync } from "node:fs";
import type Database from "libsql";
import type { ReceiptKey } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { receiptKey } from "../../../std/receipts/index.ts";
import { translate } from "../translate-failure.ts";
import type { SentBatch } from "./attempt-batch.ts";
import { ChainStore } from "./chain-store.ts";
import { CHAIN_TABLES, CHAIN_VERSION } from "./chain-tables.ts";
import type { Appended, ChainPlace, ChainWriter } from "./chain-writer.ts";
import { encodeBatch } from "./encode-batch.ts";
import type { NewEntry } from "./new-entry.ts";
import { markEntry } from "./new-entry.ts";

/** What a chain can be asked on its own thread: each is done when it returns. */
export type ChainVerbs = {
  readonly [Verb in keyof ChainWriter]: (
    ...args: Parameters<ChainWriter[Verb]>
  ) => Awaited<ReturnType<ChainWriter[Verb]>>;
};

type OpenDatabase = new (file: string) => Database.Database;

/** @throws {@link ExecutorError} RECORDS_UNAVAILABLE, DISK_FULL. */
export function openChain(Libsql: OpenDatabase, place: ChainPlace): ChainVerbs {
  try {
    const privateKey = createPrivateKey(readFileSync(place.keyFile));
    const key = receiptKey(privateKey);
    const { connection, setAside } = openDatabase(Libsql, place.file, key);
    const nowUs = (): number => Date.now() * 1000;
    const store = new ChainStore({ connection, privateKey, key, limits: place.limits, nowUs });
    return inOurWords(verbsOf(store, place, nowUs, setAside));
  } catch (error) {
    throw translate(error);
  }
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
  const opening = (seq: number): NewEntry[] => {
    if (hasOpened) return [];
    const newest = store.newest();
    const isAfterCrash = newest !== undefined && newest.type !== "closed";
    const atUs = nowUs();
    const gap = isAfterCrash ? [markEntry({ type: "gap", seq, atUs, reason: "crash" })] : [];
    const anew = isAnew ? { isAnew } : {};
    return [...gap, markEntry({ type: "opened", seq: seq + gap.length, atUs, version, ...anew })];
  };
  return {
    append: (batch: SentBatch): Appended => {
      store.append((seq) => {
        const first = opening(seq);
        return inTurn(first, encodeBatch(batch, seq + first.length, nowUs()));
      });
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
        if (hasOpened) store.append((seq) => [markEntry({ type: "closed", seq, atUs: nowUs() })]);
      } finally {
        store.close();
      }
    },
  };
}

function* inTurn(...parts: readonly Iterable<NewEntry>[]): Generator<NewEntry> {
  for (const part of parts) yield* part;
}

function inOurWords(verbs: ChainVerbs): ChainVerbs {
  const wrapped = Object.entries(verbs).map(([name, verb]) => [
    name,
    (...args: unknown[]): unknown => {
      try {
        return (verb as (...args: unknown[]) => unknown)(...args);
      } catch (error) {
        throw translate(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as ChainVerbs;
}

interface OpenedDatabase {
  readonly connection: Database.Database;
  readonly setAside: string | undefined;
}

function openDatabase(Libsql: OpenDatabase, file: string, key: ReceiptKey): OpenedDatabase {
  const connection = tryDatabase(Libsql, file, key);
  if (connection !== undefined) return { connection, setAside: undefined };
  // Its key is gone: nobody can go on with that chain, and it stays for whoever wants to check it.
  const setAside = `${file}.${Date.now()}.old`;
  renameSync(file, setAside);
  const fresh = tryDatabase(Libsql, file, key);
  if (fresh === undefined)
    throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: "it has another key again" });
  return { connection: fresh, setAside };
}

/** @returns `undefined` for a chain of another key. */
function tryDatabase(Libsql: OpenDatabase, file: string, key: ReceiptKey): Database.Database | undefined {
  // What somebody ran is nobody else's to read.
  closeSync(openSync(file, "a", 0o600));
  const connection = new Libsql(file);
  let isOurs = false;
  try {
    isOurs = isOf(connection, key);
    return isOurs ? connection : undefined;
  } finally {
    // The last one to close empties the log beside the file into it.
    if (!isOurs) connection.close();
  }
}

/** Makes the tables where there are none. @returns whether the chain in it is the key's. */
function isOf(connection: Database.Database, { publicKey }: ReceiptKey): boolean {
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL"); // what was read once must not be gone after a power failure
  connection.pragma("foreign_keys = ON");
  const rows = connection.pragma("user_version") as readonly { readonly user_version: number }[] | undefined;
  if ((rows?.[0]?.user_version ?? 0) > CHAIN_VERSION) {
    throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: "a later version of Hearth wrote them" });
  }
  return connection.transaction(() => {
    connection.exec(CHAIN_TABLES);
    connection.pragma(`user_version = ${CHAIN_VERSION}`);
    connection.prepare("INSERT INTO chain SELECT ? WHERE NOT EXISTS (SELECT 1 FROM chain)").run(publicKey);
    const owner = connection.prepare("SELECT public_key FROM chain").get() as { public_key: string };
    return owner.public_key === publicKey;
  })();
}
