import type { FactsText } from "../../../core/index.ts";
import { attemptPhases, encodeAttempt, factsText, GAP_REASONS, toUs } from "../../../core/index.ts";
import type { SentBatch, SlotValues } from "./attempt-batch.ts";
import { slotsOf } from "./attempt-batch.ts";
import type { NewEntry } from "./new-entry.ts";
import { markEntry } from "./new-entry.ts";

/** The entries of a batch, numbered from `seq`; made one by one, so that those before can be forgotten. */
export function* encodeBatch(batch: SentBatch, seq: number, nowUs: number): Generator<NewEntry> {
  let next = seq;
  for (const reason of GAP_REASONS) {
    const lost = batch.lost[reason];
    if (lost !== undefined) yield markEntry({ type: "gap", seq: next++, atUs: nowUs, reason, lost });
  }
  if (Object.keys(batch.counted).length > 0) {
    yield markEntry({ type: "refused", seq: next++, atUs: nowUs, counts: batch.counted });
  }
  const texts = batch.facts.map(factsText);
  for (const values of slotsOf(batch)) {
    yield encodeSlot(values, texts[values.facts] as FactsText, next++, batch.offsetUs);
  }
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
