import { expect, test } from "vitest";
import { card, FakeGpus } from "../../../test/support/fake-gpus.ts";
import { settle, VirtualClock } from "../../../test/support/virtual-clock.ts";
import { untilCardsKnown } from "./until-cards-known.ts";

interface Wait {
  readonly cards: FakeGpus;
  readonly clock: VirtualClock;
  readonly stop: AbortController;
  isOver(): boolean;
}

function wait(isWanted = true): Wait {
  const cards = new FakeGpus();
  cards.setEnabled(true);
  cards.source = "none";
  const [clock, stop] = [new VirtualClock(), new AbortController()];
  let isOver = false;
  untilCardsKnown(cards, () => isWanted, { clock, deadlineMs: 1_000, signal: stop.signal }).then(
    () => {
      isOver = true;
    },
    () => undefined,
  );
  return { cards, clock, stop, isOver: () => isOver };
}

test("cards are waited for until they are known, and nothing of the wait is left", async () => {
  const { cards, clock, isOver } = wait();
  await clock.advance(999);
  expect(isOver()).toBe(false);
  cards.source = "nvml";
  cards.read([card(0)]);
  await settle();
  expect([isOver(), cards.listeners, clock.pendingTimers]).toEqual([true, 0, 0]);
});

test("that there are none, and why, is known as well; news that say nothing of it are not waited out", async () => {
  const { cards, isOver } = wait();
  cards.read([card(0)]);
  await settle();
  expect(isOver()).toBe(false);
  cards.fail("no driver");
  await settle();
  expect(isOver()).toBe(true);
});

test("nobody waits for cards that nobody wants, for a driver that hangs, or after the end", async () => {
  const unwanted = wait(false);
  await settle();
  expect(unwanted.isOver()).toBe(true);
  const hung = wait();
  await hung.clock.advance(1_000);
  expect([hung.isOver(), hung.cards.listeners]).toEqual([true, 0]);
  const ended = wait();
  ended.stop.abort();
  await settle();
  expect([ended.isOver(), ended.cards.listeners, ended.clock.pendingTimers]).toEqual([true, 0, 0]);
});
