import type { KeyObject } from "node:crypto";
import type { Checkpoint } from "../../core/index.ts";
import { digestOf, GENESIS, linkHash } from "./chain-hash.ts";
import { chainId, isSigned, publicKeyOf } from "./chain-key.ts";
import type { ChainLine } from "./chain-lines.ts";
import { parseChainLine } from "./chain-lines.ts";

/** Where a chain breaks. */
export interface ChainFault {
  /** Of the text, from 1. */
  readonly line: number;
  /** The entry, where it is known which. */
  readonly seq: number | undefined;
  readonly what: string;
}

export interface ChainReport {
  readonly isWhole: boolean;
  readonly faults: readonly ChainFault[];
  readonly chain: string;
  readonly publicKey: string;
  /** Whether the key was known beforehand; otherwise anybody could have made the whole text. */
  readonly isPinned: boolean;
  /** Sequence numbers; 0 where there is no entry. */
  readonly first: number;
  readonly last: number;
  /** Whether nothing is missing before the first entry: it is the first of the chain. */
  readonly isFromStart: boolean;
  readonly attempts: number;
  /** Attempts that gaps speak of. */
  readonly lost: number;
  /** Calls that were refused and only counted. */
  readonly refused: number;
  /** Of the last signed entry. */
  readonly head: string;
  readonly signedAtUs: number;
  /** Whether the daemon had stopped in order after the last entry. */
  readonly isClosed: boolean;
}

export interface VerifyOptions {
  /** The raw public key, base64url, from a place that is trusted. */
  readonly publicKey?: string | undefined;
  /** A hash that must be in it: of a receipt or head that was kept elsewhere. It shows a tail that was cut off. */
  readonly mustHold?: string | undefined;
}

/** More would tell nothing new. */
const MOST_FAULTS = 20;

/** Checks a chain line by line, in constant memory. Goes on after a fault, so that the report names each place once. */
export class ChainVerifier {
  readonly #options: VerifyOptions;
  readonly #faults: ChainFault[] = [];
  #key: KeyObject | undefined;
  #head = { chain: "", publicKey: "" };
  #line = 0;
  #first = 0;
  #seq: number | undefined;
  #hash: Buffer | undefined;
  /** Where the open block begins: its first entry and the hash before it. */
  #open: { readonly first: number; readonly prev: string | undefined } | undefined;
  #signed: Checkpoint | undefined;
  #hasMustHold = false;
  #firstPrev = "";
  #counts = { attempts: 0, lost: 0, refused: 0 };
  #isClosed = false;
  #pending: string[] = [];

  constructor(options: VerifyOptions = {}) {
    this.#options = options;
  }

  feed(text: string): void {
    this.#line += 1;
    const line = parseChainLine(text);
    if (line === undefined) this.#fault(this.#nextSeq(), "this line is not as the daemon writes it");
    else if (this.#line === 1) this.#begin(line);
    else if (line.type === "head") this.#fault(undefined, "a second head: two texts were joined");
    else if (line.type === "entry") this.#entry(line);
    else this.#checkpoint(line.checkpoint, line.signature);
  }

  end(): ChainReport {
    const signed = this.#signed;
    if (this.#line === 0) this.#fault(undefined, "there is nothing");
    if (this.#open !== undefined) {
      const range = `${this.#open.first} to ${this.#seq}`;
      this.#fault(this.#open.first, `entries ${range} are covered by no signature: the end is cut off`);
    }
    const { mustHold, publicKey } = this.#options;
    if (mustHold !== undefined && !this.#hasMustHold) {
      this.#fault(undefined, `the hash ${mustHold} is not in it: the end, or the beginning, is cut off`);
    }
    return {
      isWhole: this.#faults.length === 0,
      faults: this.#faults,
      ...this.#head,
      isPinned: publicKey !== undefined,
      first: this.#first,
      last: this.#seq ?? 0,
      isFromStart: this.#first === 1 && this.#firstPrev === GENESIS.toString("hex"),
      ...this.#counts,
      head: signed?.head ?? "",
      signedAtUs: signed?.atUs ?? 0,
      isClosed: this.#isClosed,
    };
  }

  #begin(line: ChainLine): void {
    if (line.type !== "head") {
      this.#fault(undefined, "the first line is no head");
      return;
    }
    const { publicKey, chain } = line;
    this.#head = { publicKey, chain };
    const wanted = this.#options.publicKey;
    if (wanted !== undefined && wanted !== publicKey) this.#fault(undefined, "it is of another key");
    this.#key = publicKeyOf(wanted ?? publicKey);
    if (this.#key === undefined) this.#fault(undefined, "its key is no Ed25519 key");
    else if (chainId(Buffer.from(publicKey, "base64url")) !== chain)
      this.#fault(undefined, "its name is not that of its key");
  }

  #entry({ text, seq, hash }: Extract<ChainLine, { type: "entry" }>): void {
    const expected = this.#nextSeq();
    if (expected !== undefined && seq !== expected) this.#outOfOrder(seq, expected);
    if (this.#first === 0) this.#first = seq;
    // The hash before the very first entry is only known from its checkpoint, which is checked when it comes.
    const prev = this.#hash;
    if (prev === undefined) this.#pending.push(text, hash);
    else if (linkHash(prev, digestOf(text)).toString("hex") !== hash) {
      this.#fault(seq, `entry ${seq} or its hash was changed, or what stood before it`);
    }
    this.#open ??= { first: seq, prev: prev?.toString("hex") };
    this.#hash = Buffer.from(hash, "hex");
    this.#seq = seq;
    if (hash === this.#options.mustHold) this.#hasMustHold = true;
    this.#count(text);
  }

  #outOfOrder(seq: number, expected: number): void {
    if (seq < expected) this.#fault(seq, `entry ${seq} stands after entry ${expected - 1}`);
    else if (seq === expected + 1) this.#fault(expected, `entry ${expected} is missing`);
    else this.#fault(expected, `entries ${expected} to ${seq - 1} are missing`);
  }

  #checkpoint(checkpoint: Checkpoint, signature: string): void {
    const bytes = Buffer.from(signature, "base64url");
    const isExact = bytes.toString("base64url") === signature;
    const seq = checkpoint.last;
    const where = `the checkpoint of entries ${checkpoint.first} to ${checkpoint.last}`;
    if (this.#key === undefined || !isExact || !isSigned(checkpoint, bytes, this.#key)) {
      this.#fault(seq, `${where} has a wrong signature`);
    }
    this.#settlePending(checkpoint);
    if (checkpoint.chain !== this.#head.chain) this.#fault(seq, `${where} is of another chain`);
    const open = this.#open;
    if (open === undefined || checkpoint.first !== open.first || checkpoint.last !== this.#seq) {
      this.#fault(seq, `${where} covers other entries than those before it`);
    } else if (open.prev !== undefined && checkpoint.prev !== open.prev) {
      this.#fault(open.first, `${where} begins with another hash than the entry before it has`);
    } else if (this.#hash?.toString("hex") !== checkpoint.head) {
      this.#fault(seq, `${where} ends with another hash than entry ${seq} has`);
    }
    this.#open = undefined;
    this.#seq = Math.max(this.#seq ?? 0, checkpoint.last);
    this.#hash = Buffer.from(checkpoint.head, "hex");
    this.#signed = checkpoint;
    if (checkpoint.head === this.#options.mustHold) this.#hasMustHold = true;
  }

  /** The first entry of the text: what its checkpoint says stood before it. */
  #settlePending(checkpoint: Checkpoint): void {
    const [text, hash] = this.#pending;
    if (text === undefined || hash === undefined) return;
    this.#pending = [];
    this.#firstPrev = checkpoint.prev;
    if (checkpoint.prev === this.#options.mustHold) this.#hasMustHold = true;
    const linked = linkHash(Buffer.from(checkpoint.prev, "hex"), digestOf(text)).toString("hex");
    if (linked !== hash) this.#fault(this.#first, `entry ${this.#first} or its hash was changed`);
    if (this.#first === 1 && checkpoint.prev !== GENESIS.toString("hex")) {
      this.#fault(1, "entry 1 stands after something");
    }
  }

  #count(text: string): void {
    const entry = JSON.parse(text) as { readonly kind?: string; lost?: number; counts?: object };
    this.#isClosed = entry.kind === "closed";
    if (entry.kind === "attempt") this.#counts.attempts += 1;
    else if (entry.kind === "gap") this.#counts.lost += Number(entry.lost);
    else if (entry.kind === "refused") {
      for (const count of Object.values(entry.counts ?? {})) this.#counts.refused += Number(count);
    }
  }

  #nextSeq(): number | undefined {
    return this.#seq === undefined ? undefined : this.#seq + 1;
  }

  #fault(seq: number | undefined, what: string): void {
    if (this.#faults.length < MOST_FAULTS) this.#faults.push({ line: this.#line, seq, what });
  }
}
