import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { watchPeak } from "../support/peak-memory.ts";
import { poll } from "../support/poll.ts";
import { StreamWorld } from "../support/stream-world.ts";

const MIB = 2 ** 20;
/** An eighth of it becomes no shorter in the archive; no copy of the file, nor one of the archive, fits into the bound. */
const RANDOM_BYTES = 256 * MIB;
const REPEATS = 112;
const BYTES = 2048 * MIB;
/** What goes through the daemon is in memory in pieces of less than a mebibyte; the rest is what the collector has not looked at yet. */
const MORE_MEMORY_BYTES = 128 * MIB;

test("S: a job's output of 2 GiB goes to the store on this host, and the daemon's memory stays flat", async () => {
  await using world = await StreamWorld.open();
  const host = await world.startHost("one");
  await world.ending(await world.submit("test.copy", { files: { "in.txt": "first" } }));
  const grown = watchPeak(host.child.pid ?? 0);
  const files = { random: String(RANDOM_BYTES), repeats: String(REPEATS) };
  const id = await world.submit("test.large", { files });
  expect(await world.ending(id, 240_000)).toMatchObject({
    type: "TaskCompleted",
    json: { status: "success" },
  });
  const grownBytes = grown();
  expect(grownBytes).toBeLessThan(MORE_MEMORY_BYTES);
  const output = await world.outputDigests(id);
  expect(Object.keys(output).sort()).toEqual([
    "artifacts/",
    "artifacts/large.bin",
    "artifacts/stdout.txt",
    "output.json",
  ]);
  const [bytes, sha256 = ""] = output["artifacts/large.bin"] ?? [];
  expect(bytes).toBe(BYTES);
  // The job has printed what it made.
  expect(output["artifacts/stdout.txt"]?.[1]).toBe(digestOf(`${sha256}  -\n`));
  await poll("its folder is gone", async () => {
    const names = await readdir(join(host.stateDir, "jobs"));
    return names.join() === ".hearth" || names.join();
  });
}, 400_000);

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");
