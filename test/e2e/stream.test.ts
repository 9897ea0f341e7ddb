import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FleetHost } from "../../src/client/index.ts";
import { craftZip } from "../support/craft-zip.ts";
import { poll } from "../support/poll.ts";
import { processesLike } from "../support/processes-like.ts";
import { SLACK } from "../support/slack.ts";
import { standStill } from "../support/stand-still.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { BULK_BYTES, StreamWorld } from "../support/stream-world.ts";

/** What a job that did nothing leaves. */
const EMPTY = { "output.json": "[]", "artifacts/": "" };
/** The issue's own number: how soon no process of a killed job is left, the grace of two seconds among it. */
const TREE_GONE_MS = 10_000;

const types = (events: readonly { readonly type: string }[]): string[] => events.map(({ type }) => type);

describe("a host on the queue", () => {
  let world: StreamWorld;
  let host: Daemon;
  beforeAll(async () => {
    world = await StreamWorld.open({
      types: { shell: { image: "shell", env: { COLOUR: "red" } }, other: "shell" },
    });
    host = await world.startHost("one");
  }, 180_000);
  afterAll(async () => await world[Symbol.asyncDispose](), 60_000);

  const workFolders = async (): Promise<string[]> =>
    (await readdir(join(host.stateDir, "jobs"))).filter((name) => name !== ".hearth");

  const untilTidy = async (): Promise<void> =>
    await poll(
      "no folder is left",
      async () => (await workFolders()).length === 0 || (await workFolders()).join(),
    );

  /** Whether a sleeper has written its first file. */
  const hasWritten = (id: string): boolean =>
    existsSync(join(host.stateDir, "jobs", id, "output/artifacts/begun.txt"));

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
    await untilTidy();
    expect((await readdir(join(world.store, "t", id))).sort()).toEqual(["input.zip", "output.zip"]);
  });

  test("I9: a job's events come in order, once each, and each is of its schema", async () => {
    const id = await world.submit("test.noop");
    await world.ending(id);
    const events = await world.eventsOf(id);
    expect(events.map(({ type }) => type)).toEqual(["TaskStarted", "TaskCompleted"]);
    const times = events.map(({ json }) => json.timestamp);
    expect([...times].sort()).toEqual(times);
  });

  test.each([1, 2, 137])(
    "I7: exit code %i fails the job, what it left and printed is published, and its folder goes",
    async (code) => {
      const id = await world.submit("test.exit", { files: { code: String(code) } });
      expect(await world.ending(id)).toMatchObject({
        type: "TaskCompleted",
        json: { status: "failed", exit_code: code },
      });
      expect(await world.output(id)).toEqual({
        "output.json": "[]",
        "artifacts/": "",
        "artifacts/p.txt": "partial\n",
        "artifacts/stdout.txt": "said\n",
        "artifacts/stderr.txt": "cried\n",
      });
      await untilTidy();
    },
  );

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

  test("I5: a job runs in its folder, sees its files, its type's environment and which attempt it is", async () => {
    const id = await world.submit("test.where");
    await world.ending(id);
    const output = await world.output(id);
    expect(output["ls.txt"]).toBe("input.json\noutput\n");
    expect(output["env.txt"]).toBe(`red ${id} 1\n`);
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
      // Whoever waits for a result finds an empty one, unless where it belongs is what is wrong.
      const isPlaced = !reason.test("task_dir");
      expect(existsSync(join(world.store, "t", id, "output.zip"))).toBe(isPlaced);
      if (isPlaced) expect(await world.output(id)).toEqual(EMPTY);
      await poll("nothing of it is left", async () => {
        const names = await readdir(join(host.stateDir, "jobs"), { recursive: true }).catch(() => [id]);
        return names.every((name) => !name.includes(id)) || names.join();
      });
      const next = await world.submit("test.noop");
      expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
      expect(await world.pending()).toBe(0);
    });

    test.each([
      ["climbs out", { name: "../../CANARY", contents: Buffer.from("evil") }],
      ["names a place of the host", { name: "/tmp/CANARY", contents: Buffer.from("evil") }],
    ])("I6: an archive that %s fails its job, and writes nothing there", async (_what, entry) => {
      const canary = `hearth-canary-${randomInt(1e9)}`;
      const zip = craftZip([
        { name: "input.json", contents: Buffer.from("{}") },
        { ...entry, name: entry.name.replace("CANARY", canary) },
      ]);
      const id = await world.submit("test.noop", { zip });
      expect(await world.ending(id)).toMatchObject({
        type: "TaskCompleted",
        json: { status: "failed", detail: expect.stringMatching(/archive/) },
      });
      expect(await world.output(id)).toEqual(EMPTY);
      await untilTidy();
      const places = [world.folder, host.stateDir, join(host.stateDir, "jobs"), world.store, "/tmp", "/"];
      expect(places.filter((place) => existsSync(join(place, canary)))).toEqual([]);
      expect(types(await world.eventsOf(id))).toEqual(["TaskCompleted"]);
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

  test("I18, D17: a job that runs longer than its entry allows is ended", async () => {
    const id = await world.submit("test.sleep", {
      files: { seconds: "60" },
      // Long enough for its first line, which comes at once but on a machine that stands still.
      fields: { time_to_live_seconds: "4.5" },
    });
    expect(await world.ending(id)).toMatchObject({
      json: { status: "failed", detail: expect.stringContaining("4.5 seconds") },
    });
    expect(await world.output(id)).toMatchObject({ "artifacts/begun.txt": "begun\n" });
  });

  describe("I8: a kill", () => {
    test("before the start: the job never runs", async () => {
      const id = "killed-early";
      await world.kill(id);
      await world.submit("test.sleep", { id, files: { seconds: "30" } });
      expect(await world.ending(id)).toMatchObject({ type: "TaskKilled", json: { status: "killed" } });
      expect(types(await world.eventsOf(id))).toEqual(["TaskKilled"]);
      expect(await world.output(id)).toEqual(EMPTY);
      const next = await world.submit("test.noop");
      expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
      await untilTidy();
    });

    test.each(["commands", "events"])(
      "while it runs, by task:<id>:%s; what it left is published",
      async (list) => {
        const id = await world.submit("test.sleep", { files: { seconds: "60" } });
        await world.waitFor(id, "TaskStarted");
        await poll("it has written", () => hasWritten(id) || "nothing");
        await world.kill(id, "hello", list);
        await poll("the other message is passed over", () => host.log().includes("hello") || "not heard");
        await world.kill(id, "kill", list);
        expect(await world.ending(id)).toMatchObject({ type: "TaskKilled", json: { status: "killed" } });
        expect(await world.output(id)).toEqual({
          "output.json": "[]",
          "artifacts/": "",
          "artifacts/begun.txt": "begun\n",
          "artifacts/stdout.txt": "said\n",
        });
        expect(types(await world.eventsOf(id))).toEqual(["TaskStarted", "TaskKilled"]);
        await untilTidy();
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
      // So that its processes are told from those of anybody else.
      const seconds = `600.${randomInt(1e8, 1e9)}`;
      const id = await world.submit("test.stubborn", { files: { seconds } });
      await hasBegun(id);
      await poll("both sleep", () => processesLike(`sleep ${seconds}`).length === 2 || "not yet");
      await world.kill(id);
      await poll(
        "its processes are gone",
        () => processesLike(`sleep ${seconds}`).join() || true,
        TREE_GONE_MS * SLACK,
      );
      expect(await world.ending(id)).toMatchObject({ type: "TaskKilled" });
      expect(processesLike(seconds)).toEqual([]);
      const next = await world.submit("test.noop");
      expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
      await untilTidy();
    });

    test("while its results are packed: it counts as killed, and they are all there", async () => {
      let id = "";
      // Packing is over soon: where this test stood still meanwhile its kill came too late, and it tries with another job.
      for (let tries = 0; tries < 10; tries += 1) {
        id = await world.submit("test.bulky");
        await poll("it is packed", async () => {
          const { jobs } = (await (await fetch(`${host.baseUrl}/v1/queue`)).json()) as {
            jobs: { jobId: string; step: string }[];
          };
          if (jobs.some((job) => job.jobId === id && job.step === "packing")) return true;
          return types(await world.eventsOf(id)).includes("TaskCompleted") || JSON.stringify(jobs);
        });
        await world.kill(id);
        if ((await world.ending(id)).type === "TaskKilled") break;
      }
      expect(await world.ending(id)).toMatchObject({ type: "TaskKilled", json: { status: "killed" } });
      expect(types(await world.eventsOf(id))).toEqual(["TaskStarted", "TaskKilled"]);
      const output = await world.output(id);
      expect(output["artifacts/bulk.txt"]).toHaveLength(BULK_BYTES);
      await untilTidy();
    }, 180_000);

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
    const ids = Array.from({ length: 8 }, (_, index) => `many${index}`);
    for (const id of ids) await world.writeInput(id);
    // It finds them all at once: otherwise it might have run those that came first before the others were there.
    await standStill(host.child.pid!);
    for (const [index, id] of ids.entries()) {
      const entry = { id, task_dir: `t/${id}`, method: "test.count" };
      await world.add(index < 6 ? "shell" : "other", entry);
    }
    host.child.kill("SIGCONT");
    for (const id of ids) expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
    const order = (await world.events()).flatMap(({ type, json }) =>
      type === "TaskStarted" && "id" in json && ids.includes(json.id) ? [json.id] : [],
    );
    expect(order.slice(0, 5).some((id) => id === "many6" || id === "many7")).toBe(true);
    expect(await world.pending("shell")).toBe(0);
    expect(await world.pending("other")).toBe(0);
  });

  test("I1: the queue shows an entry as held once while it runs, and not after", async () => {
    const id = await world.submit("test.talk");
    await hasBegun(id);
    expect(await world.held()).toMatchObject([{ deliveries: 1 }]);
    await writeFile(join(host.stateDir, "jobs", id, "go"), "");
    await world.ending(id);
    expect(await world.held()).toEqual([]);
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

  test("I9: of all these jobs each began once at most, and ended once, after that", async () => {
    const lives = new Map<string, string[]>();
    for (const { type, json } of await world.events()) {
      const id = "id" in json ? String(json.id) : `${type} of no job`;
      lives.set(id, [...(lives.get(id) ?? []), type]);
    }
    expect(lives.size).toBeGreaterThan(40);
    for (const [id, life] of lives)
      expect(life.join(), id).toMatch(/^(TaskStarted,)?(TaskCompleted|TaskKilled)$/);
  });

  test("the fleet and the queue are shown, and health says that the door is open", async () => {
    // One that has stood still for a while is shown as lost until its next sign of life.
    const fleet = async (): Promise<readonly FleetHost[]> => {
      const answer = await fetch(`${host.baseUrl}/v1/fleet`);
      return ((await answer.json()) as { hosts: FleetHost[] }).hosts;
    };
    await poll("it runs", async () => {
      const hosts = await fleet();
      return hosts[0]?.state === "running" || JSON.stringify(hosts);
    });
    expect(await fleet()).toMatchObject([{ name: "one", executerTypes: ["shell", "other"] }]);
    // Its disk less what is kept free, and all of it once no job runs; the monitor door says the same.
    await poll("the disk is told of", async () => {
      const [{ capacity, reserved } = {}] = await fleet();
      const facts = await (await fetch(`${host.monitorUrl}/state/reported`)).text();
      const isTold = ["total", "free"].every((name) =>
        facts.includes(`\n${name}_disk_bytes=${capacity?.diskBytes}\n`),
      );
      return (isTold && reserved?.diskBytes === 0) || JSON.stringify({ capacity, reserved, facts });
    });
    const health = await (await fetch(`${host.monitorUrl}/healthz?verbose`)).text();
    expect(health).toContain("door stream");
  });
});
