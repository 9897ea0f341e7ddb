import type { Claim } from "../../../core/index.ts";

/** What the claim script answers. */
export interface ClaimReply {
  readonly claims: readonly Claim[];
  readonly failures: readonly { readonly stream: string; readonly reason: string }[];
  readonly vanished: number;
  readonly takenOver: number;
  /** Entries that were over already: there may be more behind them. */
  readonly over: number;
  /** For each stream that can be read, the last entry that the group was given; then where hand-backs are told, and the last one. */
  readonly marks: readonly { readonly stream: string; readonly lastId: string }[];
}

export function readClaimReply(reply: unknown, streams: readonly string[]): ClaimReply {
  const [claims, failures, vanished, takenOver, over, marks, handedBack] = listOf(reply);
  const [backKey, ...backMarks] = listOf(handedBack);
  return {
    claims: listOf(claims).map(readClaim),
    failures: listOf(failures).map((one) => {
      const [stream, reason] = listOf(one).map(textOf);
      return { stream: stream ?? "", reason: reason ?? "" };
    }),
    vanished: Number(vanished),
    takenOver: Number(takenOver),
    over: Number(over),
    marks: [...listOf(marks), ...backMarks].flatMap((mark, at) => {
      const stream = at < streams.length ? streams[at] : textOf(backKey);
      return stream === undefined || mark === "" ? [] : [{ stream, lastId: textOf(mark) }];
    }),
  };
}

function readClaim(reply: unknown): Claim {
  const [stream, entryId, jobId, attempt, deaths, isOwn, fields, failures] = listOf(reply);
  return {
    stream: textOf(stream),
    entryId: textOf(entryId),
    jobId: textOf(jobId),
    attempt: Number(attempt),
    deaths: Number(deaths),
    failures: Number(failures),
    fields: pairsOf(fields),
    isOwn: Number(isOwn) === 1,
  };
}

/** Entries of a stream as XRANGE and XREAD give them. */
export function readEntries(
  reply: unknown,
): readonly { readonly id: string; readonly fields: Readonly<Record<string, string>> }[] {
  return listOf(reply).map((entry) => {
    const [id, fields] = listOf(entry);
    return { id: textOf(id), fields: pairsOf(fields) };
  });
}

/** A field that comes twice counts as it first came, as for the script that looks for its `id`. */
function pairsOf(reply: unknown): Readonly<Record<string, string>> {
  const texts = listOf(reply).map(textOf);
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < texts.length; at += 2) pairs.unshift([texts[at] ?? "", texts[at + 1] ?? ""]);
  return Object.fromEntries(pairs);
}

export function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? (reply as unknown[]) : [];
}

export function textOf(reply: unknown): string {
  if (typeof reply === "string") return reply;
  return typeof reply === "number" ? `${reply}` : "";
}
