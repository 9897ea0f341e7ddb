import { expect, test } from "vitest";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { SandboxEnd } from "../../core/index.ts";
import { EndNews } from "./end-news.ts";

const ENDED: SandboxEnd = { type: "exited", exitCode: 3 };

test("all who wait hear of the end, and who asks later at once", async () => {
  const news = new EndNews(new VirtualClock());
  const waiting = [news.within(100), news.within(5000)];
  news.tell(ENDED);
  expect(await Promise.all(waiting)).toEqual([ENDED, ENDED]);
  expect(await news.within(100)).toBe(ENDED);
  expect(news.waiting).toBe(0);
});

test("nothing is kept of those whose time is over", async () => {
  const clock = new VirtualClock();
  const news = new EndNews(clock);
  const waiting = Array.from({ length: 1000 }, () => news.within(100));
  expect(news.waiting).toBe(1000);
  await clock.advance(100);
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([undefined]));
  expect(news.waiting).toBe(0);
  news.tell(ENDED);
});
