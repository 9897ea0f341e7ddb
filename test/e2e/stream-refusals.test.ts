import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { StreamWorld } from "../support/stream-world.ts";

let world: StreamWorld;

beforeAll(async () => {
  world = await StreamWorld.open();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

describe("I3: what is wrong with the images file stops the start with the key's name, told once, as a wrong setting is", () => {
  test.each([
    ["an empty map", {}, /it names no executer type/],
    ["a value that is no text", { gromacs: 7 }, /gromacs: /],
    ["an image that is no text", { gromacs: { image: 7 } }, /gromacs\.image: must be an image's name/],
    ["an image that is not here", { shell: "shell", swash: "not-here" }, /swash: .*not-here/],
    ["a key that nobody knows", { shell: { image: "shell", size: 4 } }, /shell: .*size/],
    ["no map at all", [], /it must be an object/],
  ])("%s", async (_what, types, reason) => {
    await writeFile(join(world.folder, "images.json"), JSON.stringify(types));
    const host = await world.startHost("refused", "", { waits: false });
    expect(await host.ended).toBe(2);
    const said = host.log().split("\n");
    const about = said.filter((line) => reason.test(line));
    expect(about, host.log()).toHaveLength(1);
    expect(about[0]).toMatch(/^hearth: .*stream\.images_file/);
  });
});

test.each([
  [
    "a password",
    { HEARTH_STREAM_REDIS_PASSWORD: "wrong", HEARTH_STREAM_REDIS_USERNAME: "nobody" },
    "WRONGPASS",
  ],
  ["a database", { HEARTH_STREAM_REDIS_DATABASE: "99" }, "DB index is out of range"],
])(
  "a queue that was never let in, here by %s, says why: in the log, in health and in its view",
  async (_what, env, why) => {
    await writeFile(join(world.folder, "images.json"), JSON.stringify({ shell: "shell" }));
    await using host = await world.startHost("shut-out", "", { env });
    await poll("health says why", async () => {
      const text = await (await fetch(`${host.monitorUrl}/monitoring/health`)).text();
      return (text.includes("since the start") && text.includes(why)) || text;
    });
    expect(await (await fetch(`${host.baseUrl}/v1/queue`)).json()).toMatchObject({
      state: "away",
      reason: expect.stringContaining(why) as string,
    });
    await poll("the log says why", () => /"queue\.away".*/.exec(host.log())?.[0].includes(why) || host.log());
  },
  120_000,
);
