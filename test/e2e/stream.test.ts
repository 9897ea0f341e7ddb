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

  const hasBegun = async (id: string): Promise<void> =>
    await poll("it has begun", async () => {
      const names = await readdir(join(host.stateDir, "jobs", id)).catch((): string[] => []);
      return names.includes("begun") || names.join();
    });

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

  test("I9: a job's events come in order, once each, and each is of its schema", async () => {
    const id = await world.submit("test.noop");
    await world.ending(id);
    const events = await world.eventsOf(id);
    expect(events.map(({ type }) => type)).toEqual(["TaskStarted", "TaskCompleted"]);
    const times = events.map(({ json }) => json.timestamp);
    expect([...times].sort()).toEqual(times);
  });

  test.each([1, 2, 137])("I7: exit code %i fails the job, and what it left is published", async (code) => {
    const id = await world.submit("test.exit", { files: { code: String(code) } });
    expect(await world.ending(id)).toMatchObject({
      type: "TaskCompleted",
      json: { status: "failed", exit_code: code },
    });
    expect(await world.output(id)).toEqual({
      "output.json": "[]",
      "artifacts/": "",
      "artifacts/p.txt": "partial\n",
    });
  });

  test("I6: without output/ there is a valid archive that says so", async () => {
    const id = await world.submit("test.nothing");
    expect(await world.ending(id)).toMatchObject({ type: "TaskCompleted", json: { status: "success" } });
    expect(await world.output(id)).toEqual({ "output.json": "[]", "artifacts/": "" });
  });

  test("D22: links in output/ are not followed", async () => {
    const id = await world.submit("test.links");
    await world.ending(id);
    const output = await world.output(id);
    expect(Object.keys(output).sort()).toEqual(["artifacts/", "output.json"]);
  });

  test("I5: a job runs in its folder, sees its files and its type's environment", async () => {
    const id = await world.submit("test.where");
    await world.ending(id);
    const output = await world.output(id);
    expect(output["ls.txt"]).toBe("input.json\noutput\n");
    expect(output["env.txt"]).toBe("red\n");
  });

  describe("section 9: what is wrong with one job ends that job, and the next one runs", () => {
    const cases: readonly (readonly [string, () => Promise<string>, RegExp])[] = [
      [
        "I3: an unknown executer type",
        () => world.submit("test.noop", { fields: { executer_type: "nobody" } }),
        /nobody/,
      ],
      ["I3: an unknown method", () => world.submit("no.such.method"), /no\.such\.method/],
      ["no input.zip", () => world.submit("test.noop", { zip: null }), /no such file/],
      [
        "an input.zip that is none",
        () => world.submit("test.noop", { zip: Buffer.from("PK no") }),
        /archive/,
      ],
      ["a script that is not there", () => world.submit("test.missing"), /none\.sh/],
      [
        "a time to live that is no number",
        () => world.submit("test.noop", { fields: { time_to_live_seconds: "soon" } }),
        /time_to_live/,
      ],
      [
        "D23: a task_dir that reaches outside",
        () => world.submit("test.noop", { fields: { task_dir: "../../etc" } }),
        /task_dir/,
      ],
    ];
    test.each(cases)("%s", async (_title, submit, reason) => {
      const id = await submit();
      const ending = await world.ending(id);
      expect(ending).toMatchObject({ type: "TaskCompleted", json: { id, status: "failed" } });
      expect("detail" in ending.json && ending.json.detail).toMatch(reason);
      const next = await world.submit("test.noop");
      expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
      expect(await world.pending()).toBe(0);
    });

    test.each(["task_dir", "method"])("an entry without %s fails by its id", async (field) => {
      const id = `lacks-${field.replace("_", "-")}`;
      await world.writeInput(id);
      const whole: Record<string, string> = { id, task_dir: `t/${id}`, method: "test.noop" };
      const { [field]: _, ...rest } = whole;
      await world.add("shell", rest);
      expect(await world.ending(id)).toMatchObject({
        json: { status: "failed", detail: `the entry has no ${field}` },
      });
    });

    test("an entry without an id, and one whose id is a path, are put aside with the reason", async () => {
      await world.add("shell", { task_dir: "t/x", method: "test.noop" });
      await world.add("shell", { id: "../x", task_dir: "t/x", method: "test.noop" });
      await poll("both are dead", async () => {
        const found = JSON.parse(await host.cli("queue", "dead", "--json").catch(() => "{}")) as {
          letters?: unknown[];
        };
        return found.letters?.length === 2 || JSON.stringify(found);
      });
      expect(await world.pending()).toBe(0);
    });
  });

  test("D17: a job that runs longer than its entry allows is ended", async () => {
    const id = await world.submit("test.sleep", {
      files: { seconds: "60" },
      fields: { time_to_live_seconds: "0.5" },
    });
    expect(await world.ending(id)).toMatchObject({
      json: { status: "failed", detail: expect.stringContaining("0.5 seconds") },
    });
    expect(await world.output(id)).toMatchObject({ "artifacts/begun.txt": "begun\n" });
  });

  describe("I8: a kill", () => {
    test("before the start: the job never runs", async () => {
      const id = "killed-early";
      await world.kill(id);
      await world.submit("test.sleep", { id, files: { seconds: "30" } });
      expect(await world.ending(id)).toMatchObject({ type: "TaskKilled", json: { status: "killed" } });
    });

    test.each(["commands", "events"])(
      "while it runs, by task:<id>:%s; what it left is published",
      async (list) => {
        const id = await world.submit("test.sleep", { files: { seconds: "60" } });
        await world.waitFor(id, "TaskStarted");
        await poll("it runs", async () => {
          const queue = (await (await fetch(`${host.baseUrl}/v1/queue`)).json()) as {
            jobs: { step: string }[];
          };
          return queue.jobs.some(({ step }) => step === "running") || JSON.stringify(queue);
        });
        await world.kill(id, "hello", list);
        await world.kill(id, "kill", list);
        expect(await world.ending(id)).toMatchObject({ type: "TaskKilled" });
        expect(await world.output(id)).toHaveProperty("artifacts/");
        const types = (await world.eventsOf(id)).map(({ type }) => type);
        expect(types).toEqual(["TaskStarted", "TaskKilled"]);
      },
    );

    test("D11: it is asked first, and what it writes then is kept", async () => {
      const id = await world.submit("test.polite");
      await hasBegun(id);
      await world.kill(id);
      expect(await world.ending(id)).toMatchObject({ type: "TaskKilled" });
      expect(await world.output(id)).toMatchObject({ "artifacts/bye.txt": "bye\n" });
    });

    test("of one that will not end: gone with all its processes, and the slot is free", async () => {
      const id = await world.submit("test.stubborn");
      await hasBegun(id);
      await world.kill(id);
      expect(await world.ending(id, 15_000)).toMatchObject({ type: "TaskKilled" });
      const next = await world.submit("test.noop");
      expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
      await poll(
        "its folder is gone",
        async () => (await workFolders()).length === 0 || (await workFolders()).join(),
      );
    });

    test("D6: after the end changes nothing, and the next life of the id is not hit", async () => {
      const id = await world.submit("test.noop");
      await world.ending(id);
      await world.kill(id);
      const next = await world.submit("test.noop");
      await world.ending(next);
      expect((await world.eventsOf(id)).map(({ type }) => type)).toEqual(["TaskStarted", "TaskCompleted"]);
    });
  });

  test("I1: several streams at once, none starved; nothing is pending when all is over", async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        world.submit("test.count", { id: `many${index}`, type: index < 6 ? "shell" : "other" }),
      ),
    );
    for (const id of ids) expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
    const order = (await world.events()).flatMap(({ type, json }) =>
      type === "TaskStarted" && "id" in json && ids.includes(json.id) ? [json.id] : [],
    );
    expect(order.slice(0, 5).some((id) => id === "many6" || id === "many7")).toBe(true);
    expect(await world.pending("shell")).toBe(0);
    expect(await world.pending("other")).toBe(0);
  });

  test("a second entry of an id is no second job", async () => {
    const id = await world.submit("test.noop");
    await world.ending(id);
    await world.add("shell", { id, task_dir: `t/${id}`, method: "test.noop" });
    const next = await world.submit("test.noop");
    await world.ending(next);
    await poll("nothing is pending", async () => (await world.pending()) === 0 || "still pending");
    expect(await world.eventsOf(id)).toHaveLength(2);
  });

  test("the fleet and the queue are shown, and health says that the door is open", async () => {
    const fleet = (await (await fetch(`${host.baseUrl}/v1/fleet`)).json()) as { hosts: { name: string }[] };
    expect(fleet.hosts).toMatchObject([{ name: "one", state: "running", executerTypes: ["shell", "other"] }]);
    const health = await (await fetch(`${host.monitorUrl}/healthz?verbose`)).text();
    expect(health).toContain("door stream");
  });
});
