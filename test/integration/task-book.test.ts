import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BookedTask, TaskBook } from "../../src/core/index.ts";
import { openTaskBook } from "../../src/drivers/records/open-task-book.ts";
import { silentLog } from "../../src/telemetry/index.ts";

let folder: string;
let book: TaskBook;
const open = (tasks = 1000): Promise<TaskBook> =>
  openTaskBook({
    file: join(folder, "tasks.db"),
    limits: { tasks, executers: 10, pools: 10 },
    log: silentLog,
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hearth-book-"));
  book = await open();
});
afterEach(async () => {
  await book[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const task = (id: string): BookedTask => ({
  id,
  method: "math.sum",
  executerType: "math",
  taskDir: `1/${id}`,
  pool: undefined,
  status: "pending-input",
  createTime: "t",
  inputTime: undefined,
  startTime: undefined,
  endTime: undefined,
  entry: undefined,
  executerId: undefined,
  hasShownStart: false,
  exitCode: undefined,
  detail: undefined,
});
const create = (id: string) => ({ type: "create" as const, task: task(id) });
const end = (id: string) => ({
  type: "news" as const,
  id,
  news: { type: "ended" as const, at: "e", status: "success" as const },
});

test("what was written is there in the next life, with the event that it came from", async () => {
  await book.apply([create("a"), { type: "pool", uuid: "p" }], "5-1");
  await book.apply([end("a")], "5-2");
  await book[Symbol.asyncDispose]();
  book = await open();
  expect(await book.task("a")).toEqual({ ...task("a"), status: "success", endTime: "e" });
  expect(await book.lastEvent()).toBe("5-2");
  expect(await book.hasPool("p")).toBe(true);
  expect(await book.hasPool("q")).toBe(false);
});

test("a task is made once, and news of a task that is not there change nothing", async () => {
  await book.apply([create("a"), end("a"), create("a"), end("nobody")]);
  expect((await book.task("a"))?.status).toBe("success");
  expect(await book.task("nobody")).toBeUndefined();
});

test("a step that fails changes nothing of it, its event included", async () => {
  await book.apply([create("a")], "1-1");
  const broken = { type: "news" as const, id: "a", news: undefined as never };
  await expect(book.apply([create("b"), broken], "1-2")).rejects.toThrow();
  expect(await book.task("b")).toBeUndefined();
  expect(await book.lastEvent()).toBe("1-1");
});

test("lists are the newest first, also of one status", async () => {
  await book.apply(["a", "b", "c", "d"].map(create));
  await book.apply([end("a"), end("c")]);
  const ids = async (query: Parameters<TaskBook["tasks"]>[0]): Promise<string[]> =>
    (await book.tasks(query)).map(({ id }) => id);
  expect(await ids({ skip: 0, limit: 3 })).toEqual(["d", "c", "b"]);
  expect(await ids({ skip: 3, limit: 3 })).toEqual(["a"]);
  expect(await ids({ status: "success", skip: 0, limit: 9 })).toEqual(["c", "a"]);
});

test("of too many, the oldest that are over go first, then the oldest", async () => {
  await book[Symbol.asyncDispose]();
  book = await open(100);
  const names = Array.from({ length: 600 }, (_, at) => `t${at}`);
  for (const name of names) await book.apply(name === "t3" ? [create(name)] : [create(name), end(name)]);
  await book[Symbol.asyncDispose]();
  book = await open(100);
  await book.apply([]);
  const kept = await book.tasks({ skip: 0, limit: 1000 });
  expect(kept).toHaveLength(100);
  expect(kept[0]?.id).toBe("t599");
  // It waits for its end, so it is not the first to go.
  expect(kept.at(-1)?.id).toBe("t3");
});
