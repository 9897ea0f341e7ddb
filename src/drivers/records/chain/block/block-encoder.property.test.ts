import fc from "fast-check";
import { expect, test } from "vitest";
import { attempt, plainId } from "../../../../../test/support/attempts.ts";
import { blockText } from "../../../../../test/support/block-text.ts";
import type { AttemptEntry, AttemptRecord, Mark } from "../../../../core/index.ts";
import {
  ATTEMPT_DOORS,
  attemptPhases,
  CALL_ENDS,
  ExecutorError,
  placeOf,
  ReadBlock,
  toUs,
} from "../../../../core/index.ts";
import { AttemptBatch } from "../attempt-batch.ts";
import { makeRoom } from "../attempt-rows.ts";
import { canHold } from "../find-place.ts";
import { BlockEncoder } from "./block-encoder.ts";

const OFFSET_US = 1_700_000_000_000_000;
const text = fc.string({ unit: "grapheme" });
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
const ms = fc.double({ min: 0, max: 1e9, noNaN: true });
const bytes = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const start = fc.record({
  beganAtMs: ms,
  resolvedAtMs: maybe(ms),
  endedAtMs: maybe(ms),
  phases: maybe(fc.record({ createMs: ms, startMs: ms, readyMs: ms })),
});
/** What a sandbox is does not change in its life. */
const place = fc
  .record({
    where: fc.constantFrom(
      { sandboxId: "s1", isolation: "container", imageDigest: "sha256:1" },
      { sandboxId: "s2", isolation: "gvisor", imageDigest: "sha256:1" },
      { sandboxId: "s3", isolation: "container", imageDigest: "sha256:2" },
    ),
    how: fc.constantFrom("warm", "thawed", "cold"),
  })
  .map(({ where, how }) => ({ ...where, start: how }));
const known = fc.record({ type: fc.constant("known"), cpuMs: ms, memoryPeakBytes: maybe(bytes) });
const errors = fc.oneof(
  fc.constant(new ExecutorError("RUN_TIMEOUT")),
  fc.integer({ min: 0, max: 255 }).map((exitCode) => new ExecutorError("TASK_EXITED", { exitCode })),
  text.map((signal) => new ExecutorError("TASK_EXITED", { signal })),
  fc.record({ asked: ms, reason: text }).map((facts) => new ExecutorError("RESOURCES_EXCEED_LIMIT", facts)),
);

/** Some of one shape of ids, some of another, some of both. */
const someAttempts = (isPlain: fc.Arbitrary<boolean>): fc.Arbitrary<AttemptRecord[]> =>
  fc
    .array(
      fc
        .tuple(
          isPlain,
          text,
          fc.record({
            door: fc.constantFrom(...ATTEMPT_DOORS),
            place: maybe(place),
            times: fc.record({
              acceptedAtMs: ms,
              placedAtMs: maybe(ms),
              headAtMs: maybe(ms),
              endedAtMs: ms,
              start: maybe(start),
            }),
            use: maybe(known),
            bytesIn: bytes,
            bytesOut: bytes,
            outcome: fc.constantFrom(...CALL_ENDS),
            status: maybe(fc.integer({ min: 100, max: 999 })),
            error: maybe(errors),
          }),
        )
        .map(([isOne, id, more]) => ({ isOne, id, more })),
      { maxLength: 40 },
    )
    .map((all) =>
      all.map(({ isOne, id, more }, index) =>
        attempt(isOne ? plainId(index * 7) : `${id}~${index}`, more as Partial<AttemptRecord>),
      ),
    );

const marks = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant("opened"), atUs: bytes, version: text }),
    fc.record({ type: fc.constant("refused"), atUs: bytes, counts: fc.dictionary(text, fc.nat()) }),
  ),
  { maxLength: 3 },
) as unknown as fc.Arbitrary<Mark[]>;

/** What a record comes to in the chain, told apart from how a block has it. */
function expected(record: AttemptRecord, seq: number): AttemptEntry {
  const { times, use, place: where, task, error } = record;
  const acceptedUs = toUs(times.acceptedAtMs);
  const phases = Object.entries(attemptPhases(times)).filter(([, us]) => us !== 0);
  const { exitCode, signal, ...others } = (error as ExecutorError | undefined)?.facts ?? {};
  const facts = Object.keys(others).length === 0 ? undefined : JSON.stringify(others);
  const cpuUs = use?.type === "known" ? Math.round(use.cpuMs * 1000) : undefined;
  const peakBytes = use?.type === "known" ? use.memoryPeakBytes : undefined;
  const peak = peakBytes === undefined ? undefined : Math.min(peakBytes, Number.MAX_SAFE_INTEGER - 1);
  const { network, resources } = task;
  const entry = {
    ...{ type: "attempt", seq, id: record.id, door: record.door, image: task.image },
    ...{ digest: where?.imageDigest, isolation: where?.isolation, isolationAsked: task.isolation },
    ...{ taskKey: record.taskKey, sandbox: where?.sandboxId, start: where?.start },
    booked: {
      cpuMillis: resources.cpuMillis,
      memoryBytes: resources.memoryBytes,
      gpuIds: [],
      gpuMemoryBytes: resources.gpuMemoryBytes,
      network,
    },
    used: {
      ...{ bytesIn: record.bytesIn, bytesOut: record.bytesOut, cpuUs, memoryPeakBytes: peak },
      reading: use === undefined ? "none" : "own",
    },
    acceptedAtUs: acceptedUs + OFFSET_US,
    wallUs: Math.max(0, toUs(times.endedAtMs) - acceptedUs),
    phasesUs: Object.fromEntries(phases),
    ...{ outcome: record.outcome, status: record.status },
    ...{ error: (error as ExecutorError | undefined)?.code, exitCode, signal, facts },
  };
  return JSON.parse(JSON.stringify(entry)) as AttemptEntry;
}

const encoder = new BlockEncoder();

test.each([
  ["that sort by time", fc.constant(true)],
  ["of any shape", fc.constant(false)],
  ["of both shapes", fc.boolean()],
])(
  "W: a block gives back every attempt as it was told, with ids %s, and its text is the one that the document says",
  (_, isPlain) => {
    fc.assert(
      fc.property(someAttempts(isPlain), marks, fc.nat(1e9), (records, says, before) => {
        fc.pre(records.length + says.length > 0);
        const batch = new AttemptBatch(makeRoom());
        for (const record of records) batch.add(record);
        const sent = batch.send({ offsetUs: OFFSET_US, lost: {}, counted: {} });
        const first = before + 1;
        const encoded = encoder.encode(first, says, { batch: sent, from: 0, to: sent.count });
        const block = new ReadBlock(encoded.text.toString());
        const entries = records.map((record, index) => expected(record, first + says.length + index));
        const read = Array.from({ length: block.count }, (__, index) => block.entry(index));
        expect(read.map((entry) => JSON.parse(JSON.stringify(entry)) as unknown)).toEqual([
          ...says.map((mark, index) => ({ ...mark, seq: first + index })),
          ...entries,
        ]);
        expect(encoded.text.toString()).toBe(blockText(first, says, entries));
        for (const [index, { id }] of entries.entries()) {
          expect(block.indexOf(id)).toBe(says.length + index);
          expect(canHold(encoded.text, id)).toBe(true);
          const isIndexed = encoded.otherIds.includes(id) || (encoded.minId <= id && id <= encoded.maxId);
          expect(isIndexed).toBe(true);
        }
        expect(block.indexOf("nobody")).toBeUndefined();
      }),
      { numRuns: 150 },
    );
  },
);

test("W: counts at the very edge stand beside unknown ones", () => {
  const edge = (index: number, memoryPeakBytes: number | undefined): AttemptRecord =>
    attempt(plainId(index), { use: { type: "known", cpuMs: 1e300, memoryPeakBytes } });
  const batch = new AttemptBatch(makeRoom());
  for (const [index, peak] of [undefined, Number.MAX_SAFE_INTEGER, 1e300, undefined].entries())
    batch.add(edge(index, peak));
  const sent = batch.send({ offsetUs: OFFSET_US, lost: {}, counted: {} });
  const block = new ReadBlock(encoder.encode(1, [], { batch: sent, from: 0, to: 4 }).text.toString());
  const used = [0, 1, 2, 3].map((index) => (block.entry(index) as AttemptEntry).used.memoryPeakBytes);
  const most = Number.MAX_SAFE_INTEGER - 1;
  expect(used).toEqual([undefined, most, most, undefined]);
});

test("an id is found where it begins, and not across two others", () => {
  const ids = { prefix: "a", middle: "121221", suffix: "z" };
  expect(["a12z", "a21z", "a22z", "b12z", "a12y", "a1z"].map((id) => placeOf(ids, 3, id))).toEqual([
    0, 2, -1, -1, -1, -1,
  ]);
});
