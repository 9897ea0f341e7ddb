import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ArtifactStore } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { zipArchiver } from "../../std/archive/index.ts";
import { packNothing } from "./pack-output.ts";
import { publishOutput } from "./publish-output.ts";

/** A store that is full for so many uploads. */
function fullStore(refusals: number) {
  const objects = new Set(["t/output.zip.1", "t/output.zip.2", "t/input.zip"]);
  let uploads = 0;
  const store = {
    upload: (key: string) => {
      uploads += 1;
      if (uploads <= refusals) return Promise.reject(new ExecutorError("DISK_FULL"));
      objects.add(key);
      return Promise.resolve({ bytes: 1, sha256: "aa" });
    },
    move: (from: string, to: string) => {
      objects.delete(from);
      objects.add(to);
      return Promise.resolve();
    },
    remove: (key: string) => {
      objects.delete(key);
      return Promise.resolve();
    },
  } as unknown as ArtifactStore;
  return { store, objects, uploads: () => uploads };
}

const publishing = (store: ArtifactStore, patienceMs: number, isHeld = true) => ({
  store,
  taskDir: "t",
  attempt: 3,
  scratch: "/scratch",
  pack: () => Promise.resolve(),
  onPacked: () => undefined,
  patienceMs,
  isHeld: () => Promise.resolve(isHeld),
  signal: new AbortController().signal,
});

test("a full store is tried again for as long as there is patience, however short that is", async () => {
  const { store, objects, uploads } = fullStore(2);
  expect(await publishOutput(publishing(store, 15_000))).toMatchObject({ bytes: 1 });
  expect(uploads()).toBe(3);
  expect(objects.has("t/output.zip")).toBe(true);
});

test("without patience the first refusal is the last, and nothing takes the final name", async () => {
  const { store, objects, uploads } = fullStore(1);
  await expect(publishOutput(publishing(store, 0))).rejects.toMatchObject({
    code: "DISK_FULL",
  });
  expect(uploads()).toBe(1);
  expect(objects.has("t/output.zip")).toBe(false);
});

test("what attempts before it left on the way is swept by the one whose result stands, and by no other", async () => {
  const winner = fullStore(0);
  await publishOutput(publishing(winner.store, 0));
  expect([...winner.objects].sort()).toEqual(["t/input.zip", "t/output.zip"]);
  const loser = fullStore(0);
  expect(await publishOutput(publishing(loser.store, 0, false))).toBeUndefined();
  expect([...loser.objects].sort()).toEqual(["t/input.zip", "t/output.zip.1", "t/output.zip.2"]);
});

test("the result of a job that never ran is an archive that any client can read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-nothing-"));
  try {
    const { signal } = new AbortController();
    const limits = { entries: 10, totalBytes: 1e6, ratio: 10, depth: 3, nameBytes: 100, deadlineMs: 60_000 };
    const path = join(folder, "output.zip");
    await packNothing(zipArchiver, folder, limits, path, signal);
    const into = join(folder, "unpacked");
    await mkdir(into);
    await zipArchiver.unpack(path, into, limits, signal);
    expect((await readdir(into)).sort()).toEqual(["artifacts", "output.json"]);
    expect(await readdir(join(into, "artifacts"))).toEqual([]);
    expect(await readFile(join(into, "output.json"), "utf8")).toBe("[]");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
