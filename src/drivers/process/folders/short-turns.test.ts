import { expect, test, vi } from "vitest";
import { ShortTurns } from "./short-turns.ts";

test("a walk goes on at once until it was long enough, and then after whoever else has something to do", async () => {
  const nowMs = vi.spyOn(performance, "now").mockReturnValue(1000);
  try {
    const turns = new ShortTurns();
    expect(turns.pass()).toBeUndefined();
    nowMs.mockReturnValue(1001.9);
    expect(turns.pass()).toBeUndefined();
    nowMs.mockReturnValue(1002);
    const order: string[] = [];
    setImmediate(() => order.push("others"));
    await turns.pass();
    order.push("the walk");
    expect(order).toEqual(["others", "the walk"]);
    expect(turns.pass()).toBeUndefined();
  } finally {
    nowMs.mockRestore();
  }
});
