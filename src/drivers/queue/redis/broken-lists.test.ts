import { ErrorReply } from "@redis/client";
import { expect, test } from "vitest";
import { VirtualClock } from "../../../../test/support/virtual-clock.ts";
import { BrokenLists } from "./broken-lists.ts";

const WRONG = new ErrorReply("WRONGTYPE Operation against a key holding the wrong kind of value");

function open() {
  const clock = new VirtualClock();
  const faults = new Map<string, Error>();
  const watched = new Set(["a", "b", "c"]);
  const asked: string[] = [];
  const said: string[] = [];
  const lists = new BrokenLists({
    clock,
    isWatched: (key) => watched.has(key),
    log: { log: (_, event, facts) => void said.push(`${event} ${String(facts?.["stream"])}`) },
    connection: {
      send: ([, key = ""]) => {
        asked.push(key);
        const fault = faults.get(key);
        return fault === undefined ? Promise.resolve(0) : Promise.reject(fault);
      },
    },
  });
  return { clock, faults, watched, asked, said, lists };
}

test("a list that is none is told once, looked at every five seconds, and let go once it is repaired", async () => {
  const { clock, faults, asked, said, lists } = open();
  faults.set("a", WRONG);
  await lists.sortOut(["a", "b"]);
  expect(["a", "b"].map((key) => lists.has(key))).toEqual([true, false]);
  asked.length = 0;
  for (let ms = 0; ms < 20_500; ms += 500) {
    await lists.lookAgain();
    await clock.advance(500);
  }
  expect(asked).toEqual(["a", "a", "a", "a"]);
  expect(said).toEqual(["queue.broken a"]);
  faults.clear();
  await clock.advance(lists.dueInMs ?? 0);
  await lists.lookAgain();
  expect(lists.has("a")).toBe(false);
  expect(lists.dueInMs).toBeUndefined();
  expect(said).toEqual(["queue.broken a", "queue.repaired a"]);
});

test("a Redis that does not answer says nothing of a list, neither that it is broken nor that it is repaired", async () => {
  const { clock, faults, said, lists } = open();
  for (const key of ["a", "b"]) faults.set(key, new Error("it is away"));
  await lists.sortOut(["a", "b"]);
  expect(lists.dueInMs).toBeUndefined();
  faults.set("b", WRONG);
  await lists.sortOut(["b"]);
  faults.set("b", new Error("it is away"));
  await clock.advance(60_000);
  await lists.lookAgain();
  expect(lists.has("b")).toBe(true);
  expect(said).toEqual(["queue.broken b"]);
});

test("of a job that is over nothing is kept, also where it ends during the look", async () => {
  const { faults, watched, said, lists } = open();
  for (const key of ["a", "b"]) faults.set(key, WRONG);
  const looking = lists.sortOut(["a", "b"]);
  watched.delete("a");
  await looking;
  expect(["a", "b"].map((key) => lists.has(key))).toEqual([false, true]);
  lists.forget("b");
  expect(lists.dueInMs).toBeUndefined();
  expect(said).toEqual(["queue.broken b"]);
});
