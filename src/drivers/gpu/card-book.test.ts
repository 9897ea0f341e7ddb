import { expect, test } from "vitest";
import { CardBook } from "./card-book.ts";
import { ChosenCards } from "./chosen-cards.ts";
import type { Card, CardsReport } from "./report.ts";

const card = (id: string, more: Partial<Card> = {}): Card => ({
  id,
  index: id === "GPU-a" ? 0 : 1,
  model: "none",
  pciBusId: "",
  memoryBytes: 100,
  memoryUsedBytes: 0,
  computePercent: 0,
  pids: [],
  ...more,
});
const report = (cards: readonly Card[], driver = "1.0"): CardsReport => ({
  driver,
  cards: [...cards],
  unreadable: [],
});
const broken = (): CardBook => {
  const book = new CardBook(new ChosenCards([]));
  book.take(report([card("GPU-a", { broke: "XID 79" }), card("GPU-b")]));
  return book;
};
const healthOf = (book: CardBook): readonly boolean[] =>
  book.readings().map(({ health }) => health.isHealthy);

test("what broke a card stays while it is only looked at again, and while it cannot be read", () => {
  const book = broken();
  book.take(report([card("GPU-a"), card("GPU-b")]));
  expect(healthOf(book)).toEqual([false, true]);
  book.take({ ...report([card("GPU-b")]), unreadable: [{ index: 0, reason: "no answer" }] });
  book.take(report([card("GPU-a"), card("GPU-b")], ""));
  expect(healthOf(book)).toEqual([false, true]);
});

test("a driver of another version was loaded anew, which has reset every card", () => {
  const book = broken();
  book.take(report([card("GPU-a"), card("GPU-b")], "2.0"));
  expect(healthOf(book)).toEqual([true, true]);
});

test("a card that was gone from the list and is back was set up anew; one that reports again is broken again", () => {
  const book = broken();
  book.take(report([card("GPU-b")]));
  expect(healthOf(book)).toEqual([false, true]);
  book.take(report([card("GPU-a"), card("GPU-b")]));
  expect(healthOf(book)).toEqual([true, true]);
  book.take(report([card("GPU-a", { broke: "XID 48" }), card("GPU-b")]));
  expect(healthOf(book)).toEqual([false, true]);
});
