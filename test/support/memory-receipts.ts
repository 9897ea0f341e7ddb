import type { KeyObject } from "node:crypto";
import { generateKeyPairSync } from "node:crypto";
import type {
  AttemptEntry,
  AttemptFilter,
  CanonicalValue,
  ChainRange,
  Checkpoint,
  Receipt,
  ReceiptKey,
  ReceiptLog,
  ReceiptLogState,
} from "../../src/core/index.ts";
import { canonical } from "../../src/core/index.ts";
import {
  blockLine,
  digestOf,
  endLine,
  entryLine,
  GENESIS,
  headLine,
  linkHash,
  receiptKey,
  signCheckpoint,
  signEnd,
  signReceipt,
} from "../../src/std/receipts/index.ts";
import { blockText } from "./block-text.ts";

/** A signed chain in memory, one block in all, into which a test writes what it likes. */
export class MemoryReceipts implements ReceiptLog {
  readonly entries: AttemptEntry[] = [];
  /** Attempts that only `flush` brings into the chain. */
  readonly pending: AttemptEntry[] = [];
  fault: Error | undefined;
  readonly #private: KeyObject;
  readonly #key: ReceiptKey;

  constructor() {
    const { privateKey } = generateKeyPairSync("ed25519");
    this.#private = privateKey;
    this.#key = receiptKey(privateKey);
  }

  /** Adds an attempt; what is not given is that of a warm call by `/v1` that was answered. */
  add(id: string, more: Partial<AttemptEntry> = {}, isPending = false): AttemptEntry {
    const seq = this.entries.length + this.pending.length + 1;
    const entry: AttemptEntry = {
      type: "attempt",
      seq,
      id,
      door: "v1",
      image: "a:1",
      digest: "sha256:0",
      isolationAsked: "default",
      isolation: "container",
      taskKey: "k",
      sandbox: "s1",
      start: "warm",
      booked: { cpuMillis: 1000, memoryBytes: 1024, gpuIds: [], gpuMemoryBytes: 0, network: "default" },
      used: { bytesIn: 2, bytesOut: 3, cpuUs: 500, memoryPeakBytes: 4096, reading: "own" },
      acceptedAtUs: seq * 1_000_000,
      wallUs: 3000,
      phasesUs: { queued: 1000, firstByte: 1500, answer: 500 },
      outcome: "answered",
      status: 200,
      ...more,
    };
    (isPending ? this.pending : this.entries).push(entry);
    return entry;
  }

  record(): void {
    throw new Error("no engine writes here");
  }

  state(): ReceiptLogState {
    const { pending, entries } = this;
    return {
      isEnabled: true,
      written: entries.length,
      lost: 0,
      counted: 0,
      pending: pending.length,
      fault: undefined,
    };
  }

  list({ limit, beforeSeq, ...filter }: AttemptFilter): Promise<readonly AttemptEntry[]> {
    if (this.fault !== undefined) return Promise.reject(this.fault);
    const wanted = this.entries.filter(
      (entry) => (beforeSeq === undefined || entry.seq < beforeSeq) && passes(entry, filter),
    );
    return Promise.resolve(wanted.reverse().slice(0, limit));
  }

  get(id: string): Promise<AttemptEntry | undefined> {
    if (this.fault !== undefined) return Promise.reject(this.fault);
    return Promise.resolve(this.entries.find((entry) => entry.id === id));
  }

  receipt(id: string): Promise<Receipt | undefined> {
    const entry = this.entries.find((one) => one.id === id);
    if (entry === undefined) return Promise.resolve(undefined);
    const { checkpoint } = this.#block();
    const statement = { canonical: textOf(entry), checkpoint, atUs: 10 };
    const signature = signReceipt(statement, this.#private).toString("base64url");
    return Promise.resolve({ entry, ...statement, signature, key: this.#key });
  }

  key(): Promise<ReceiptKey> {
    return Promise.resolve(this.#key);
  }

  // biome-ignore lint/suspicious/useAwait: the port is asynchronous
  async *lines(_range: ChainRange): AsyncIterable<string> {
    const { text, checkpoint, signature } = this.#block();
    const { chain, first, last, head } = checkpoint;
    const end = { chain, first, last, head, newest: last, atUs: 9 };
    yield `${headLine(this.#key)}\n${blockLine(checkpoint, signature, text)}\n`;
    yield this.entries.map((entry) => `${entryLine(textOf(entry))}\n`).join("");
    yield `${endLine(end, signEnd(end, this.#private).toString("base64url"))}\n`;
  }

  flush(): Promise<void> {
    this.entries.push(...this.pending.splice(0));
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #block(): { readonly text: string; readonly checkpoint: Checkpoint; readonly signature: string } {
    const text = blockText(1, [], this.entries);
    const prev = GENESIS.toString("hex");
    const head = linkHash(GENESIS, digestOf(text)).toString("hex");
    const checkpoint = { chain: this.#key.chain, first: 1, last: this.entries.length, prev, head, atUs: 8 };
    return {
      text,
      checkpoint,
      signature: signCheckpoint(checkpoint, this.#private).toString("base64url"),
    };
  }
}

function textOf(entry: AttemptEntry): string {
  return canonical({ ...entry } as unknown as CanonicalValue);
}

function passes(entry: AttemptEntry, filter: Omit<AttemptFilter, "limit" | "beforeSeq">): boolean {
  const { sinceUs, untilUs, door, image, isolation, outcome } = filter;
  return (
    (sinceUs === undefined || entry.acceptedAtUs >= sinceUs) &&
    (untilUs === undefined || entry.acceptedAtUs < untilUs) &&
    (door === undefined || entry.door === door) &&
    (image === undefined || entry.image === image || entry.digest === image) &&
    (isolation === undefined || entry.isolation === isolation) &&
    (outcome === undefined || [entry.outcome, entry.error, String(entry.status)].includes(outcome))
  );
}
