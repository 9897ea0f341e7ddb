import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Ran, Route } from "../../../test/support/cli-world.ts";
import { CliWorld, json, problem } from "../../../test/support/cli-world.ts";
import type { FleetHost } from "../../client/index.ts";
import { longWaitLine } from "./long-wait.ts";

const HOST: FleetHost = {
  ...{ hostId: "h1", name: "one", version: "0.1.0", startedAtMs: 1, seenAtMs: 1, state: "running" },
  capacity: { cpuMillis: 4000, memoryBytes: 1_073_741_824, gpuCount: 0 },
  reserved: { cpuMillis: 500, memoryBytes: 0, gpuCount: 0 },
  ...{ jobs: { running: 1, waiting: 0 }, labels: {}, warm: [], executerTypes: ["math", "test"] },
};
const PAUSED: FleetHost = { ...HOST, hostId: "h2", state: "paused" };
const OTHER: FleetHost = { ...HOST, hostId: "h3", executerTypes: ["gromacs", "test"] };

describe("what is said of a task that no host begins", () => {
  test.each<[string, string, string | undefined, FleetHost[] | undefined, string]>([
    [
      "no host runs its type",
      "md.foam.run_simulation",
      undefined,
      [HOST, OTHER],
      '2 hosts, of which none runs its usual type "foam" but math, test, gromacs;',
    ],
    ["one runs it", "math.sum", undefined, [HOST, OTHER], '2 hosts, of which 1 runs its usual type "math";'],
    [
      "of those that do one is paused",
      "math.sum",
      undefined,
      [HOST, PAUSED],
      '2 hosts, of which 2 run its usual type "math"; 1 of those takes no jobs now;',
    ],
    [
      "it names a pool",
      "math.sum",
      "p1",
      [HOST],
      '1 host, of which 1 runs its usual type "math"; which of them are in its pool is not told there;',
    ],
    [
      "a method of the API's own",
      "my.tool",
      undefined,
      [HOST, OTHER],
      "2 hosts, and the types there are math, test, gromacs;",
    ],
    ["an empty fleet", "math.sum", undefined, [], "no host;"],
  ])("%s", (_, method, pool, hosts, part) => {
    const line = longWaitLine({ id: "t1", method, pool }, hosts);
    expect(line).toContain(`t1: no host has begun it yet; \`hearth fleet\` has ${part}`);
    expect(line).toContain("`hearth queue list`");
  });

  test("where no daemon tells of hosts, which commands show more", () => {
    const line = longWaitLine({ id: "t1", method: "math.sum", pool: undefined }, undefined);
    expect(line).toMatch(/^t1: no host has begun it yet; `hearth fleet` and `hearth queue list` show more/);
  });
});

describe("`hearth submit` that waits", () => {
  let world: CliWorld;
  beforeEach(() => {
    world = new CliWorld();
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });

  /** The web API and a daemon in one: the task waits until the daemon has been asked for its fleet, and a few looks more. */
  async function submit(held: readonly string[], fleet: Route, ...words: readonly string[]): Promise<Ran> {
    let looksLeft = Number.POSITIVE_INFINITY;
    const at = await world.startDaemon({
      "POST /tasks/submit": json({ id: "t1", status: "pending-input" }),
      "POST /tasks/t1/input": json({}),
      "GET /tasks/t1": (request, response, body) => {
        looksLeft -= 1;
        const status = looksLeft > 0 ? "submitted" : "success";
        json({ task_id: "t1", status, detail: null, exit_code: 0 })(request, response, body);
      },
      "GET /tasks/t1/output": (_, response) => void response.writeHead(404).end('{"detail": "none"}'),
      "GET /v1/queue": json({ jobs: held.map((jobId) => ({ jobId })) }),
      "GET /v1/fleet": (request, response, body) => {
        looksLeft = 4;
        fleet(request, response, body);
      },
    });
    return await world.run(["submit", "md.foam.run_simulation", "--api", at, "-H", at, ...words]);
  }

  test("says once what the fleet tells; standard output stays as it is", async () => {
    const ran = await submit([], json({ hosts: [HOST], self: "h1" }), "--json");
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.out)).toEqual({ id: "t1", status: "success", exitCode: 0, detail: null });
    expect(ran.err.split("no host has begun it yet")).toHaveLength(2);
    expect(ran.err).toContain('none runs its usual type "foam" but math, test');
  });

  test("says less where the queue of the daemon is off", async () => {
    const ran = await submit([], problem("QUEUE_OFF", { reason: "the stream door is not open" }));
    expect(ran).toMatchObject({
      code: 0,
      err: expect.stringContaining("`hearth fleet` and `hearth queue list`"),
    });
  });

  test("says nothing of the kind while the daemon here holds the task", async () => {
    const ran = await submit(["t1"], json({ hosts: [HOST], self: "h1" }));
    expect(ran).toMatchObject({ code: 0, err: expect.not.stringContaining("no host has begun it yet") });
  });
});
