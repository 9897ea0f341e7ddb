import type { AttemptFacts, FactsText } from "../../../core/index.ts";
import { attemptPhases, encodeAttempt, factsText, GAP_REASONS, toUs } from "../../../core/index.ts";
import type { SentBatch, SlotValues } from "./attempt-batch.ts";
import { slotsOf } from "./attempt-batch.ts";
import type { NewEntry } from "./new-entry.ts";
import { markEntry } from "./new-entry.ts";

/** The entries of a batch, numbered from `seq`. */
export function encodeBatch(batch: SentBatch, seq: number, nowUs: number): NewEntry[] {
  const entries: NewEntry[] = [];
  const next = (): { readonly seq: number; readonly atUs: number } => ({
    seq: seq + entries.length,
    atUs: nowUs,
  });
  for (const reason of GAP_REASONS) {
    const lost = batch.lost[reason];
    if (lost !== undefined) entries.push(markEntry({ type: "gap", ...next(), reason, lost }));
  }
  if (Object.keys(batch.counted).length > 0) {
    entries.push(markEntry({ type: "refused", ...next(), counts: batch.counted }));
  }
  const texts = new Map<number, FactsText>();
  for (const values of slotsOf(batch)) {
    let facts = texts.get(values.facts);
    if (facts === undefined) {
      facts = factsText(batch.facts[values.facts] as AttemptFacts);
      texts.set(values.facts, facts);
    }
    entries.push(encodeSlot(values, facts, seq + entries.length, batch.offsetUs));
  }
  return entries;
}

function encodeSlot(values: SlotValues, facts: FactsText, seq: number, offsetUs: number): NewEntry {
  const { id, isPlainId, rarity, times, cpuUs, peakBytes, reading, bytesIn, bytesOut } = values;
  const acceptedUs = toUs(times.acceptedAtMs);
  const acceptedAtUs = Math.max(0, acceptedUs + offsetUs);
  const text = encodeAttempt(
    {
      seq,
      id,
      door: values.door,
      start: values.start,
      used: { bytesIn, bytesOut, cpuUs, memoryPeakBytes: peakBytes, reading },
      acceptedAtUs,
      wallUs: Math.max(0, toUs(times.endedAtMs) - acceptedUs),
      phasesUs: attemptPhases(times),
      outcome: values.outcome,
      status: values.status,
      error: rarity?.error,
      exitCode: rarity?.exitCode,
      signal: rarity?.signal,
    },
    facts,
  );
  return { text, id, isPlainId, acceptedAtUs };
}
