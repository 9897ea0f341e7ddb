import type { KeyObject } from "node:crypto";
import type { ChainFault, ChainReport, Checkpoint, ExportEnd } from "../../core/index.ts";
import { digestOf, GENESIS, linkHash } from "./chain-hash.ts";
import { chainId, exactly, isEndSigned, isSigned, publicKeyOf } from "./chain-key.ts";
import type { ChainLine } from "./chain-lines.ts";
import { parseChainLine } from "./chain-lines.ts";
import { EntryTally } from "./entry-tally.ts";

export interface VerifyOptions {
  /** The raw public key, base64url, from a place that is trusted. */
  readonly publicKey?: string | undefined;
  /** A hash that must be in it: of a receipt or head that was kept elsewhere. It shows that the text is of the same chain. */
  readonly mustHold?: string | undefined;
}

/** More would tell nothing new. */
const MOST_FAULTS = 20;
const NO_HASH = GENESIS.toString("hex");

/** Checks a chain line by line, in constant memory. Goes on after a fault, so that the report names each place once. */
export class ChainVerifier {
  readonly #options: VerifyOptions;
  readonly #faults: ChainFault[] = [];
  readonly #tally = new EntryTally();
  #key: KeyObject | undefined;
  #head = { chain: "", publicKey: "" };
  #line = 0;
  #first = 0;
  #seq: number | undefined;
  #hash: Buffer | undefined;
  /** Where the open block begins: its first entry and the hash before it. */
  #open: { readonly first: number; readonly prev: string | undefined } | undefined;
  #signed: Checkpoint | undefined;
  #end: ExportEnd | undefined;
  #hasMustHold = false;
  #firstPrev = "";
  /** The first entry of the text and its hash, until its checkpoint says what stood before it. */
  #pending: { readonly text: string; readonly hash: string } | undefined;

  constructor(options: VerifyOptions = {}) {
    this.#options = options;
  }

  /** @param text one line, without its line end. */
  feed(text: string): void {
    this.#line += 1;
    const line = parseChainLine(text);
    if (line === undefined) this.#fault(this.#nextSeq(), "this line is not as the daemon writes it");
    else if (this.#end !== undefined) this.#fault(this.#nextSeq(), "this line stands after the end");
    else if (this.#line === 1) this.#begin(line);
    else if (line.type === "head") this.#fault(undefined, "a second head: two texts were joined");
    else if (line.type === "entry") this.#entry(line);
    else if (line.type === "checkpoint") this.#checkpoint(line.checkpoint, line.signature);
    else this.#finish(line.end, line.signature);
  }

  end(): ChainReport {
    this.#checkEnd();
    this.#checkBeginning();
    this.#checkMustHold();
    const last = this.#seq ?? 0;
    return {
      isWhole: this.#faults.length === 0,
      faults: this.#faults,
      ...this.#head,
      isPinned: this.#head.publicKey !== "" && this.#options.publicKey === this.#head.publicKey,
      isComplete: this.#isComplete(last),
      first: this.#first,
      last,
      newest: this.#end?.newest ?? last,
      isFromStart: this.#isFromStart,
      ...this.#tally.counts,
      head: this.#signed?.head ?? "",
      signedAtUs: (this.#end ?? this.#signed)?.atUs ?? 0,
    };
  }

  get #isFromStart(): boolean {
    return this.#first === 1 && this.#firstPrev === NO_HASH;
  }

  #isComplete(last: number): boolean {
    const { prunedTo } = this.#tally.counts;
    return last === this.#end?.newest && (this.#isFromStart || last === 0 || prunedTo === this.#first - 1);
  }

  #checkMustHold(): void {
    const { mustHold } = this.#options;
    if (mustHold !== undefined && !this.#hasMustHold) {
      this.#fault(undefined, `the hash ${mustHold} is not in it: it is of another chain, or a part of one`);
    }
  }

  #checkEnd(): void {
    if (this.#line === 0) this.#fault(undefined, "there is nothing");
    else if (this.#open !== undefined) {
      const range = `${this.#open.first} to ${this.#seq}`;
      this.#fault(this.#open.first, `entries ${range} are covered by no signature: the end is cut off`);
    } else if (this.#end === undefined) {
      this.#fault(this.#nextSeq(), "the signed end is missing: the end is cut off");
    }
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
    if (prev === undefined) this.#pending ??= { text, hash };
    else if (linkHash(prev, digestOf(text)).toString("hex") !== hash) {
      this.#fault(seq, `entry ${seq} or its hash was changed, or what stood before it`);
    }
    this.#open ??= { first: seq, prev: prev?.toString("hex") };
    this.#hash = Buffer.from(hash, "hex");
    this.#seq = seq;
    if (hash === this.#options.mustHold) this.#hasMustHold = true;
    this.#tally.count(text);
  }

  #outOfOrder(seq: number, expected: number): void {
    if (seq < expected) this.#fault(seq, `entry ${seq} stands after entry ${expected - 1}`);
    else if (seq === expected + 1) this.#fault(expected, `entry ${expected} is missing`);
    else this.#fault(expected, `entries ${expected} to ${seq - 1} are missing`);
  }

  #checkpoint(checkpoint: Checkpoint, signature: string): void {
    const seq = checkpoint.last;
    const where = `the checkpoint of entries ${checkpoint.first} to ${checkpoint.last}`;
    const bytes = exactly(signature);
    if (this.#key === undefined || bytes === undefined || !isSigned(checkpoint, bytes, this.#key)) {
      this.#fault(seq, `${where} has a wrong signature`);
    }
    this.#settlePending(checkpoint);
    if (checkpoint.chain !== this.#head.chain) this.#fault(seq, `${where} is of another chain`);
    const misfit = this.#misfit(checkpoint);
    if (misfit !== undefined) this.#fault(seq, `${where} ${misfit}`);
    this.#open = undefined;
    this.#seq = Math.max(this.#seq ?? 0, checkpoint.last);
    this.#hash = Buffer.from(checkpoint.head, "hex");
    this.#signed = checkpoint;
    if (checkpoint.head === this.#options.mustHold) this.#hasMustHold = true;
  }

  /** What a checkpoint says that is not so of the block before it. */
  #misfit({ first, last, prev, head }: Checkpoint): string | undefined {
    const open = this.#open;
    if (first !== open?.first || last !== this.#seq) return "covers other entries than those before it";
    if (open.prev !== undefined && prev !== open.prev)
      return "begins with another hash than the entry before it has";
    if (this.#hash?.toString("hex") !== head) return `ends with another hash than entry ${last} has`;
    return undefined;
  }

  /** The first entry of the text: what its checkpoint says stood before it. */
  #settlePending({ prev }: Checkpoint): void {
    if (this.#pending === undefined) return;
    const { text, hash } = this.#pending;
    this.#pending = undefined;
    this.#firstPrev = prev;
    // What stands before every chain shows nothing of this one.
    if (prev === this.#options.mustHold && prev !== NO_HASH) this.#hasMustHold = true;
    const linked = linkHash(Buffer.from(prev, "hex"), digestOf(text)).toString("hex");
    if (linked !== hash) this.#fault(this.#first, `entry ${this.#first} or its hash was changed`);
    if (this.#first === 1 && prev !== NO_HASH) this.#fault(1, "entry 1 stands after something");
  }

  #finish(end: ExportEnd, signature: string): void {
    const bytes = exactly(signature);
    if (this.#key === undefined || bytes === undefined || !isEndSigned(end, bytes, this.#key)) {
      this.#fault(undefined, "the end has a wrong signature");
    }
    const isSame =
      end.chain === this.#head.chain &&
      end.first === this.#first &&
      end.last === (this.#seq ?? 0) &&
      end.head === (this.#signed?.head ?? NO_HASH);
    if (!isSame || this.#open !== undefined) {
      const range = `entries ${end.first} to ${end.last}`;
      this.#fault(this.#nextSeq(), `the end is of ${range}, and those before it are others`);
    }
    this.#end = end;
  }

  /** What is missing before the first entry must have been asked for so, or be said by the chain itself. */
  #checkBeginning(): void {
    const { prunedTo } = this.#tally.counts;
    if (prunedTo >= this.#first && this.#first > 0) {
      this.#fault(this.#first, `entry ${this.#first} is there although the chain says that it was dropped`);
    }
    if (this.#tally.prunedHash !== undefined && prunedTo === this.#first - 1) {
      if (this.#tally.prunedHash !== this.#firstPrev) {
        this.#fault(this.#first, `entry ${this.#first} does not follow on what the chain says was dropped`);
      }
    }
  }

  #nextSeq(): number | undefined {
    return this.#seq === undefined ? undefined : this.#seq + 1;
  }

  #fault(seq: number | undefined, what: string): void {
    if (this.#faults.length < MOST_FAULTS) this.#faults.push({ line: this.#line, seq, what });
  }
}
