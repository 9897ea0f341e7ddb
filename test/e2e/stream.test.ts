import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

describe("a host on the queue", () => {
  let world: StreamWorld;
  let host: Daemon;
  beforeAll(async () => {
    world = await StreamWorld.open({
      types: { shell: { image: "shell", env: { COLOUR: "red" } }, other: "shell" },
    });
    host = await world.startHost("one");
  }, 90_000);
  afterAll(async () => await world[Symbol.asyncDispose](), 60_000);

  const workFolders = async (): Promise<string[]> =>
    (await readdir(join(host.stateDir, "jobs"))).filter((name) => name !== ".hearth");

  test("I6: input.zip in, output/ back as output.zip, with the folder entry and what was printed", async () => {
    const id = await world.submit("test.copy", { files: { "in.txt": "hello" } });
    const ending = await world.ending(id);
    expect(ending).toMatchObject({
      type: "TaskCompleted",
      json: { id, status: "success", exit_code: 0, detail: null, oom: false, attempt: 1, host: "one" },
    });
    expect(await world.output(id)).toEqual({
      "output.json": "[1]\n",
      "artifacts/": "",
      "artifacts/out.txt": "hello",
      "artifacts/stdout.txt": "said\n",
      "artifacts/stderr.txt": "cried\n",
    });
    await poll("the folder is gone", async () => (await workFolders()).length === 0 || "still there");
    expect(await readdir(join(world.store, "t", id))).toEqual(["input.zip", "output.zip"]);
  });
});
