import fc from "fast-check";
import { expect, test } from "vitest";
import type { BookedStatus, BookedTask, TaskNews } from "./booked-task.ts";
import { advanceTask, isBookedEnd, shownStatus } from "./booked-task.ts";

const NEW: BookedTask = {
  id: "a",
  method: "m",
  executerType: "t",
  taskDir: "1/a",
  pool: undefined,
  status: "pending-input",
  createTime: "0",
  inputTime: undefined,
  startTime: undefined,
  endTime: undefined,
  entry: undefined,
  executerId: undefined,
  hasShownStart: false,
  exitCode: undefined,
  detail: undefined,
};

const at = fc.nat().map(String);
const news: fc.Arbitrary<TaskNews> = fc.oneof(
  fc.record({ type: fc.constant("input" as const), at }),
  fc.record({ type: fc.constant("started" as const), at, executerId: fc.constantFrom("x", "y") }),
  fc.record({ type: fc.constant("start-shown" as const) }),
  fc.record({ type: fc.constant("kill-asked" as const) }),
  fc.record({
    type: fc.constant("ended" as const),
    at,
    status: fc.constantFrom(
      "success" as const,
      "failed" as const,
      "killed" as const,
      "executer-failed" as const,
      "executer-terminated" as const,
      "spot-instance-preempted" as const,
    ),
  }),
);
const story = fc.array(news, { maxLength: 12 });

const ORDER: readonly BookedStatus[] = ["pending-input", "submitted", "started", "pending-kill"];
const rank = (status: BookedStatus): number => (isBookedEnd(status) ? ORDER.length : ORDER.indexOf(status));

test("whatever is heard, in whatever order, a task only moves on, and stays as it ended", () => {
  fc.assert(
    fc.property(story, (all) => {
      let task = NEW;
      for (const one of all) {
        const next = advanceTask(task, one);
        expect(rank(next.status)).toBeGreaterThanOrEqual(rank(task.status));
        if (isBookedEnd(task.status)) {
          expect(next.status).toBe(task.status);
          expect(next.endTime).toBe(task.endTime);
        }
        task = next;
      }
    }),
  );
});

test("the same news twice is the same as once: events may be applied again", () => {
  fc.assert(
    fc.property(story, news, (all, one) => {
      const task = all.reduce(advanceTask, NEW);
      const once = advanceTask(task, one);
      expect(advanceTask(once, one)).toEqual(once);
    }),
  );
});

test("a poller of a task that ran sees `started` before its end, and its end at the second look at the latest", () => {
  fc.assert(
    fc.property(story, (all) => {
      const seen: BookedStatus[] = [];
      const look = (task: BookedTask): BookedTask => {
        const { status, showsStart } = shownStatus(task);
        seen.push(status);
        return showsStart ? advanceTask(task, { type: "start-shown" }) : task;
      };
      let task = NEW;
      for (const one of all) if (one.type !== "start-shown") task = look(advanceTask(task, one));
      task = look(look(task));
      expect(seen.at(-1)).toBe(task.status);
      const isCore = task.status === "success" || task.status === "failed";
      const wasKilled = all.some(({ type }) => type === "kill-asked");
      if (isCore && !wasKilled) expect(seen).toContain("started");
    }),
  );
});

test("a task that nobody began is shown as it ended", () => {
  const killed = advanceTask(NEW, { type: "ended", at: "1", status: "killed" });
  expect(shownStatus(killed)).toEqual({ status: "killed", showsStart: false });
});

test("whoever asked for a kill is not told that it started", () => {
  const started = advanceTask(NEW, { type: "started", at: "1", executerId: "x" });
  const killed = [
    { type: "kill-asked" } as const,
    { type: "ended", at: "2", status: "killed" } as const,
  ].reduce<BookedTask>(advanceTask, started);
  expect(shownStatus(killed).status).toBe("killed");
});

test("a task that was handed back shows its last host and start", () => {
  const first = advanceTask(NEW, { type: "started", at: "1", executerId: "x" });
  const second = advanceTask(first, { type: "started", at: "2", executerId: "y" });
  expect(second).toMatchObject({ status: "started", startTime: "2", executerId: "y" });
});
