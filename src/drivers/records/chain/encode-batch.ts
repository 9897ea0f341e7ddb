import type { AttemptFacts, FactsText } from "../../../core/index.ts";
import { attemptPhases, canonical, encodeAttempt, factsText } from "../../../core/index.ts";
import type { SentBatch, SlotValues } from "./attempt-batch.ts";
import { slotsOf } from "./attempt-batch.ts";

/** An entry's canonical text with what it is found by. */
export interface NewEntry {
  readonly text: string;
  /** Empty for what is no attempt. */
  readonly id: string;
  readonly acceptedAtUs: number;
}

/** The entries of a batch, numbered from `seq`. */
export function encodeBatch(batch: SentBatch, seq: number, nowUs: number): NewEntry[] {
  const entries: NewEntry[] = [];
  const mark = (text: string): void => {
    entries.push({ text, id: "", acceptedAtUs: nowUs });
  };
  const { lost, counted } = batch;
  if (lost > 0) mark(canonical({ kind: "gap", seq, atUs: nowUs, lost }));
  if (Object.keys(counted).length > 0) {
    mark(canonical({ kind: "refused", seq: seq + entries.length, atUs: nowUs, counts: counted }));
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
  const { id, rarity, acceptedUs, endedUs, cpuUs, peakBytes, reading, bytesIn, bytesOut } = values;
  const acceptedAtUs = acceptedUs + offsetUs;
  const text = encodeAttempt(
    {
      seq,
      id,
      door: values.door,
      start: values.start,
      used: {
        bytesIn,
        bytesOut,
        cpuUs: cpuUs,
        memoryPeakBytes: peakBytes,
        reading,
      },
      acceptedAtUs,
      wallUs: endedUs - acceptedUs,
      phasesUs: attemptPhases({ ...values, start: rarity?.start }),
      end: values.end,
      status: values.status,
      error: rarity?.error,
      exitCode: rarity?.exitCode,
      signal: rarity?.signal,
    },
    facts,
  );
  return { text, id, acceptedAtUs };
}
