import { expect, test } from "vitest";
import { card, FakeGpus } from "../../../test/support/fake-gpus.ts";
import { gpuTask, record, testExecutor } from "../../../test/support/test-executor.ts";
import { settle } from "../../../test/support/virtual-clock.ts";
import type { CardHandover, HandoverAnswer } from "../../core/index.ts";
import { cardsThrough } from "./cards-through.ts";

const REASON = "the engine cannot give GPUs to containers";

class FakeHandover implements CardHandover {
  answer: HandoverAnswer = { type: "untried" };
  offered: readonly string[] = [];
  readonly #listeners = new Set<() => void>();

  offer(gpuIds: readonly string[]): void {
    this.offered = gpuIds;
  }

  tried(): Promise<HandoverAnswer> {
    return Promise.resolve(this.answer);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  say(answer: HandoverAnswer): void {
    this.answer = answer;
    for (const listener of [...this.#listeners]) listener();
  }
}

test("M23: nobody gets a card before the driver has shown that it can hand them over; who waits is refused with the reason", async () => {
  const handover = new FakeHandover();
  const cards = cardsThrough(
    new FakeGpus([card(0), card(1, { health: { isHealthy: false, reason: "XID 79" } })]),
    handover,
  );
  const parts = await testExecutor({ hasGpu: true }, {}, undefined, undefined, cards);
  const early = record(parts.executor, gpuTask("a"));
  await settle();
  await parts.clock.advance(1);
  expect(handover.offered).toEqual(["GPU-0"]);
  expect({
    placed: early.placement,
    error: early.error,
    gpus: parts.executor.view().capacity.gpuCount,
  }).toEqual({
    placed: undefined,
    error: undefined,
    gpus: 0,
  });

  handover.say({ type: "refused", reason: REASON });
  await settle();
  await parts.clock.advance(1);
  expect(early.error).toMatchObject({
    code: "GPU_UNAVAILABLE",
    facts: { reason: expect.stringContaining(REASON) as string, offered: 0 },
  });
  const late = record(parts.executor, gpuTask("b"));
  await settle();
  expect(late.error).toMatchObject({
    code: "GPU_UNAVAILABLE",
    facts: { reason: expect.stringContaining(REASON) as string },
  });
  const { capacity, gpus } = parts.executor.view();
  expect(capacity.gpuCount).toBe(0);
  expect(gpus.map(({ health }) => health)).toEqual([
    { isHealthy: false, reason: REASON },
    { isHealthy: false, reason: "XID 79" },
  ]);

  handover.say({ type: "usable" });
  const then = record(parts.executor, gpuTask("c"));
  await settle();
  await parts.clock.advance(1);
  expect(then.placement).toBeDefined();
  expect(parts.executor.view().capacity.gpuCount).toBe(1);
});

test("a driver that hands cards over itself is believed, and one whose cards are all broken is shown as such", async () => {
  const plain = new FakeGpus([card(0)]);
  expect(cardsThrough(plain, undefined)).toBe(plain);
  const broken = new FakeGpus([card(0, { health: { isHealthy: false, reason: "XID 79" } })]);
  broken.setEnabled(true);
  await using cards = cardsThrough(broken, new FakeHandover());
  expect([cards.source, cards.readings().length]).toEqual(["nvml", 1]);
});
