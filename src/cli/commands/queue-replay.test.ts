import { afterEach, beforeEach, expect, test } from "vitest";
import type { Ran, Route } from "../../../test/support/cli-world.ts";
import { CliWorld, json, problem } from "../../../test/support/cli-world.ts";
import { replayRequest } from "../../contract/v1/queue.ts";

let world: CliWorld;
beforeEach(() => {
  world = new CliWorld();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** A daemon whose dead jobs are these, and that fails at the id `away`. */
async function replay(
  dead: readonly string[],
  ...words: readonly string[]
): Promise<Ran & { back: string[] }> {
  const left = new Set(dead);
  const back: string[] = [];
  const answer: Route = (request, response, body) => {
    const asked = JSON.parse(body.toString()) as { ids?: string[]; all?: true };
    if (asked.ids?.includes("away") === true)
      return problem("QUEUE_UNAVAILABLE", { reason: "it is away" })(request, response, body);
    const found = (asked.ids ?? [...left]).filter((id) => left.delete(id));
    back.push(...found);
    return json({ replayed: found.length })(request, response, body);
  };
  const at = await world.startDaemon({ "POST /v1/queue/replay": answer });
  return { ...(await world.run(["queue", "replay", ...words, "-H", at])), back };
}

test("an id that is not there is named, and the exit code is 1", async () => {
  const ran = await replay(["1-0"], "9-9");
  expect(ran).toMatchObject({ code: 1, out: "", back: [] });
  expect(ran.err).toBe('hearth: no dead job is called "9-9"; `hearth queue dead` lists them\n');
});

test("of several ids those that are there go back, and the others are named", async () => {
  const ran = await replay(["1-0", "2-0", "3-0"], "9-9", "1-0", "8-8", "3-0", "1-0");
  expect(ran).toMatchObject({ code: 1, out: "", back: ["1-0", "3-0"] });
  expect(ran.err).toBe(
    "hearth: 2 jobs are back on their streams\n" +
      'hearth: no dead jobs are called "9-9", "8-8"; `hearth queue dead` lists them\n',
  );
});

test("--json names them too, and says nothing of the kind where all were there", async () => {
  const some = await replay(["1-0"], "1-0", "9-9", "--json");
  expect(some.code).toBe(1);
  expect(JSON.parse(some.out)).toEqual({ replayed: 1, missing: ["9-9"] });
  await world.stopDaemon();
  const all = await replay(["1-0"], "1-0", "--json");
  expect(all).toMatchObject({ code: 0, out: '{"replayed":1}\n', err: "" });
});

test("--quiet keeps to what went wrong", async () => {
  const ran = await replay(["1-0"], "1-0", "9-9", "--quiet");
  expect(ran).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/^hearth: no dead .*"9-9"/) });
});

test("a queue that goes away in between: what is back by then is told, then why the others are not", async () => {
  const ran = await replay(["1-0", "2-0"], "1-0", "away", "2-0");
  expect(ran).toMatchObject({ code: 1, back: ["1-0"] });
  expect(ran.err).toMatch(/^hearth: 1 job is back on their streams\nhearth: .*it is away/);
});

test("an id that the API would refuse is wrong use, told before any goes back", async () => {
  const dead = ["1-0", "2-0", "x".repeat(128)];
  const empty = await replay(dead, "1-0", "", "2-0");
  expect(empty).toMatchObject({ code: 2, out: "", back: [] });
  expect(empty.err).toContain('hearth: no job is called "": an id has 1 to 128 characters');
  await world.stopDaemon();
  const long = await replay(dead, "1-0", "x".repeat(129));
  expect(long).toMatchObject({ code: 2, out: "", back: [] });
  expect(long.err).toContain(`no job is called "${"x".repeat(128)}…"`);
  await world.stopDaemon();
  expect((await replay(dead, "x".repeat(128))).code).toBe(0);
  for (const [id, isTaken] of [
    ["", false],
    ["x", true],
    ["x".repeat(128), true],
    ["x".repeat(129), false],
  ] as const)
    expect(replayRequest.safeParse({ ids: [id] }).success).toBe(isTaken);
});

test("--all with nothing there is no fault", async () => {
  const ran = await replay([], "--all");
  expect(ran).toMatchObject({ code: 0, err: "hearth: 0 jobs are back on their streams\n" });
});
