import type { KeyObject } from "node:crypto";
import type { ChainFault, ChainReport, Checkpoint, ExportEnd, Receipt } from "../../core/index.ts";
import { digestOf, GENESIS, linkHash } from "./chain-hash.ts";
import { chainId, exactly, isEndSigned, isSigned, publicKeyOf } from "./chain-key.ts";
import type { ChainLine } from "./chain-lines.ts";
import { isCutLine, parseChainLine } from "./chain-lines.ts";
import { EntryTally } from "./entry-tally.ts";
import { ExpectedEntries } from "./expected-entries.ts";
import { KnownBefore } from "./known-before.ts";

export interface VerifyOptions {
  /** The raw public key, base64url, from a place that is trusted. */
  readonly publicKey?: string | undefined;
  /** A hash that must be in it: of a receipt or head that was kept elsewhere. It shows that the text is of the same chain. */
  readonly mustHold?: string | undefined;
  /** A receipt that was given out before, checked by itself already: the chain must say the same of its entry. */
  readonly receipt?: Receipt | undefined;
}

/** More would tell nothing new. */
const MOST_FAULTS = 20;
const NO_HASH = GENESIS.toString("hex");

type BlockLine = Extract<ChainLine, { type: "block" }>;

/** Checks a chain line by line, in the memory of one block. Goes on after a fault, so that the report names each place once. */
export class ChainVerifier {
  readonly #options: VerifyOptions;
  readonly #known: KnownBefore;
  readonly #faults: ChainFault[] = [];
  readonly #tally = new EntryTally();
  #key: KeyObject | undefined;
  #head = { chain: "", publicKey: "" };
  #line = 0;
  /** The first entry of the text, and the hash before it. */
  #first = 0;
  #firstPrev = "";
  /** The last entry that blocks have told of. */
  #seq: number | undefined;
  /** What comes next of the block that is told. */
  #entries: ExpectedEntries | undefined;
  /** The block cannot be read: nothing can be said of the entries after it. */
  #isUnreadable = false;
  #signed: Checkpoint | undefined;
  #end: ExportEnd | undefined;
  /** The line that is looked at next: whether it is the last one is known once another follows, or none. */
  #pending: string | undefined;
  #isOfChain = false;

  constructor(options: VerifyOptions = {}) {
    this.#options = options;
    this.#known = new KnownBefore(options);
  }

  /** Whether any line was one of a chain, be it cut off; otherwise the text is something else, or nothing. Known at the end. */
  get isOfChain(): boolean {
    return this.#isOfChain;
  }

  /** @param text one line, without its line end. */
  feed(text: string): void {
    if (this.#pending !== undefined) this.#take(this.#pending);
    this.#pending = text;
  }

  end(): ChainReport {
    this.#takeLast();
    this.#checkEnd();
    this.#checkBeginning();
    for (const fault of this.#known.missing()) this.#fault(undefined, fault);
    const last = this.#seq ?? 0;
    return {
      isWhole: this.#faults.length === 0,
      faults: this.#faults,
      ...this.#head,
      isPinned: this.#head.publicKey !== "" && this.#options.publicKey === this.#head.publicKey,
      isComplete: this.#isComplete(last),
      hasEnd: this.#end !== undefined,
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

  #take(text: string): void {
    this.#line += 1;
    const line = parseChainLine(text);
    this.#isOfChain ||= line !== undefined;
    if (line === undefined) this.#fault(this.#nextSeq(), "this line is not as the daemon writes it");
    else if (this.#end !== undefined) this.#fault(this.#nextSeq(), "this line stands after the end");
    else if (this.#line === 1) this.#begin(line);
    else if (line.type === "head") this.#fault(undefined, "a second head: two texts were joined");
    else if (line.type === "entry") this.#entry(line.text, line.seq);
    else if (line.type === "block") this.#block(line);
    else this.#finish(line.end, line.signature);
  }

  /** A line that only its end is missing of was not changed, and its contents are not looked at. */
  #takeLast(): void {
    const text = this.#pending;
    if (text === undefined) return;
    if (this.#end !== undefined || !isCutLine(text)) {
      this.#take(text);
      return;
    }
    this.#line += 1;
    this.#isOfChain = true;
    this.#fault(this.#nextSeq(), "this line is cut off");
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

  #block({ checkpoint, signature, text }: BlockLine): void {
    this.#closeBlock("");
    const { first, last, prev, head } = checkpoint;
    const which = first === last ? `entry ${first}` : `entries ${first} to ${last}`;
    const bytes = exactly(signature);
    if (this.#key === undefined || bytes === undefined || !isSigned(checkpoint, bytes, this.#key))
      this.#fault(first, `the block of ${which} has a wrong signature`);
    if (checkpoint.chain !== this.#head.chain)
      this.#fault(first, `the block of ${which} is of another chain`);
    this.#checkOrder(checkpoint);
    if (linkHash(Buffer.from(prev, "hex"), digestOf(text)).toString("hex") !== head)
      this.#fault(first, `${which} or their hash were changed`);
    this.#open(checkpoint, text);
    this.#signed = checkpoint;
    this.#seq = last;
    this.#known.see(checkpoint);
  }

  /** Whether a block follows on the one before it. */
  #checkOrder({ first, prev }: Checkpoint): void {
    if (this.#first === 0) {
      this.#first = first;
      this.#firstPrev = prev;
      if (first === 1 && prev !== NO_HASH) this.#fault(1, "entry 1 stands after something");
      return;
    }
    const expected = this.#nextSeq();
    if (expected !== undefined && first > expected) this.#missing(expected, first - 1);
    else if (expected !== undefined && first < expected)
      this.#fault(first, `entry ${first} stands after entry ${expected - 1}`);
    else if (this.#signed !== undefined && prev !== this.#signed.head)
      this.#fault(first, `entry ${first} stands after another block than the one before it`);
  }

  #open(checkpoint: Checkpoint, text: string): void {
    const { first, last } = checkpoint;
    this.#isUnreadable = false;
    try {
      this.#entries = new ExpectedEntries(text);
    } catch {
      this.#isUnreadable = true;
      this.#fault(first, `the block of entries ${first} to ${last} cannot be read`);
      return;
    }
    if (this.#entries.first !== first || this.#entries.last !== last)
      this.#fault(first, `the block of entries ${first} to ${last} holds others`);
    const wrong = this.#known.compare(this.#entries, checkpoint);
    if (wrong !== undefined) this.#fault(this.#options.receipt?.entry.seq, wrong);
  }

  #entry(text: string, seq: number): void {
    if (this.#isUnreadable) return;
    const entries = this.#entries;
    if (entries === undefined || entries.next > entries.last) {
      this.#fault(seq, `entry ${seq} stands in no block`);
      return;
    }
    if (seq > entries.next && seq <= entries.last) {
      this.#missing(entries.next, seq - 1);
      entries.next = seq;
    }
    const wanted = entries.at(entries.next);
    if (wanted?.text === text) this.#tally.count(wanted.entry);
    else this.#fault(entries.next, `entry ${entries.next} was changed, or stands where it does not belong`);
    entries.next += 1;
  }

  /** Its entries must all have been told. */
  #closeBlock(remark: string): void {
    const entries = this.#entries;
    this.#entries = undefined;
    if (entries !== undefined && entries.next <= entries.last)
      this.#missing(entries.next, entries.last, remark);
  }

  #missing(first: number, last: number, remark = ""): void {
    this.#fault(
      first,
      `${first === last ? `entry ${first} is` : `entries ${first} to ${last} are`} missing${remark}`,
    );
  }

  #finish(end: ExportEnd, signature: string): void {
    this.#closeBlock("");
    const bytes = exactly(signature);
    if (this.#key === undefined || bytes === undefined || !isEndSigned(end, bytes, this.#key)) {
      this.#fault(undefined, "the end has a wrong signature");
    }
    const isSame =
      end.chain === this.#head.chain &&
      end.first === this.#first &&
      end.last === (this.#seq ?? 0) &&
      end.head === (this.#signed?.head ?? NO_HASH);
    if (!isSame) {
      const range = `entries ${end.first} to ${end.last}`;
      this.#fault(this.#nextSeq(), `the end is of ${range}, and those before it are others`);
    }
    this.#end = end;
  }

  #checkEnd(): void {
    if (this.#line === 0) this.#fault(undefined, "there is nothing");
    else if (this.#end === undefined) {
      this.#closeBlock(": the end is cut off");
      this.#fault(this.#nextSeq(), "the signed end is missing: the end is cut off");
    }
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
