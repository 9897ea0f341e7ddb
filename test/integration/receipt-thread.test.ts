import { expect, test } from "vitest";
import { ExecutorError } from "../../src/core/index.ts";
import { startThreadWriter } from "../../src/drivers/records/chain/thread-writer.ts";

const PLACE = {
  file: "unused",
  keyFile: "unused",
  limits: { records: 1, ageMs: 1, bytes: 1 },
  version: "1",
  isKeyNew: true,
};

/** A thread that runs this text. */
function threadOf(text: string): { readonly program: URL; readonly lost: { times: number }; onLost(): void } {
  const lost = { times: 0 };
  const program = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  return { program, lost, onLost: () => void (lost.times += 1) };
}

const OPEN = 'import { parentPort } from "node:worker_threads"; parentPort.postMessage({ id: 0 });';

test("a thread that ends by itself fails what was asked of it, and is told of once", async () => {
  const thread = threadOf(`${OPEN} parentPort.on("message", () => process.exit(3));`);
  const writer = await startThreadWriter(PLACE, thread);
  await expect(Promise.all([writer.get("a"), writer.list({ limit: 1 })])).rejects.toMatchObject({
    code: "RECORDS_UNAVAILABLE",
  });
  expect(thread.lost.times).toBe(1);
});

test("a thread that throws, or cannot open the chain, says why", async () => {
  const thrown = threadOf('throw new Error("no such thing");');
  await expect(startThreadWriter(PLACE, thrown)).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
  const full = threadOf(
    'import { parentPort } from "node:worker_threads"; parentPort.postMessage({ id: 0, error: { code: "DISK_FULL", facts: {}, cause: "" } });',
  );
  await expect(startThreadWriter(PLACE, full)).rejects.toBeInstanceOf(ExecutorError);
});

test("answers come to those who asked, in whichever order; closing ends the thread and is no loss", async () => {
  const thread = threadOf(`${OPEN}
    const late = [];
    parentPort.on("message", ({ id, verb, args }) => {
      if (verb === "get") late.push({ id, result: args[0] });
      else for (const reply of [{ id, result: [] }, ...late.reverse()]) parentPort.postMessage(reply);
    });`);
  const writer = await startThreadWriter(PLACE, thread);
  const [a, b, list] = await Promise.all([writer.get("a"), writer.get("b"), writer.list({ limit: 1 })]);
  expect([a, b, list]).toEqual(["a", "b", []]);
  await writer.close();
  expect(thread.lost.times).toBe(0);
  await expect(writer.get("c")).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
});
