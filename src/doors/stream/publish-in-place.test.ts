import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ArtifactStore, ByteSink } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { openArtifactStore } from "../../drivers/artifacts/index.ts";
import type { Publishing } from "./publish-output.ts";
import { publishOutput } from "./publish-output.ts";

let folder = "";
let store: ArtifactStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-in-place-"));
  await mkdir(join(folder, "store"));
  store = await openArtifactStore(join(folder, "store"), { setting: "artifact_store" });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const names = async (): Promise<string[]> => await readdir(join(folder, "store/t"));
const result = async (): Promise<string> => await readFile(join(folder, "store/t/output.zip"), "utf8");

function publishing(more: Partial<Publishing> = {}): Publishing {
  return {
    store,
    taskDir: "t",
    attempt: 1,
    scratch: join(folder, "scratch"),
    pack: async (to) => await into(to).write(Buffer.from("result")),
    onPacked: () => undefined,
    patienceMs: 15_000,
    isHeld: () => Promise.resolve(true),
    signal: new AbortController().signal,
    ...more,
  };
}

function into(to: string | ByteSink): ByteSink {
  if (typeof to === "string") throw new Error("it was to be made in place");
  return to;
}

test("what is packed into a folder's store is seen there once the queue says that the job is held, and not before", async () => {
  const seen: (readonly string[])[] = [];
  const isHeld = async (): Promise<boolean> => {
    seen.push(await names());
    return true;
  };
  const sha256 = createHash("sha256").update("result").digest("hex");
  expect(await publishOutput(publishing({ isHeld }))).toEqual({ bytes: 6, sha256 });
  expect(seen).toEqual([[expect.stringMatching(/^\.hearth-.*\.part$/)]]);
  expect(await names()).toEqual(["output.zip"]);
  expect(await result()).toBe("result");
});

test("the host that lost the job leaves nothing, and not its result in the place of another's", async () => {
  await publishOutput(publishing({ pack: async (to) => await into(to).write(Buffer.from("another's")) }));
  expect(await publishOutput(publishing({ isHeld: () => Promise.resolve(false) }))).toBeUndefined();
  expect(await names()).toEqual(["output.zip"]);
  expect(await result()).toBe("another's");
});

test("a full store gets it from the beginning once there is room, and without patience nothing is left", async () => {
  let tries = 0;
  const pack: Publishing["pack"] = async (to) => {
    await into(to).write(Buffer.from("res"));
    if ((tries += 1) === 1) throw new ExecutorError("DISK_FULL");
    await into(to).write(Buffer.from("ult"));
  };
  expect(await publishOutput(publishing({ pack }))).toMatchObject({ bytes: 6 });
  expect([tries, await result(), await names()]).toEqual([2, "result", ["output.zip"]]);
  tries = 0;
  await rm(join(folder, "store/t/output.zip"));
  await expect(publishOutput(publishing({ pack, patienceMs: 0 }))).rejects.toMatchObject({
    code: "DISK_FULL",
  });
  expect(await names()).toEqual([]);
});
