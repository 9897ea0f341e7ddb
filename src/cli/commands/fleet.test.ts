import { expect, test } from "vitest";
import { CliWorld, json } from "../../../test/support/cli-world.ts";

const HOST = {
  ...{ hostId: "h1", name: "one", version: "0.1.0", startedAtMs: 1, seenAtMs: 1, state: "running" },
  capacity: { cpuMillis: 4000, memoryBytes: 1_073_741_824, gpuCount: 0 },
  reserved: { cpuMillis: 500, memoryBytes: 0, gpuCount: 0 },
  ...{ jobs: { running: 1, waiting: 0 }, labels: {}, warm: [] as string[], executerTypes: ["shell"] },
};

async function printed(...hosts: readonly object[]): Promise<string[]> {
  await using world = new CliWorld();
  const at = await world.startDaemon({ "GET /v1/fleet": json({ hosts, self: "h1" }) });
  const { code, out } = await world.run(["fleet", "-H", at]);
  expect(code).toBe(0);
  return out.trimEnd().split("\n");
}

test("where no host has labels or warm tasks the fleet is one table", async () => {
  const lines = await printed(HOST, { ...HOST, hostId: "h2", name: "two" });
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^HOST +STATE +RUNS +WAITS +CPU +MEM +GPUS +WARM +TYPES +SEEN$/);
  expect(lines[1]).toMatch(/^one \* +running +1 +0 +0\.5\/4 +0 B\/1 GB +- +0 +shell +\d+ d ago$/);
  expect(lines[2]).toMatch(/^two +running /);
});

test("labels and warm tasks of those hosts that have some come below", async () => {
  const two = { ...HOST, hostId: "h2", name: "two", labels: { zone: "a", disk: "ssd" } };
  const three = { ...HOST, hostId: "h3", name: "three", warm: ["echo:1 container", "sim/mesh process"] };
  const lines = await printed(HOST, two, three);
  expect(lines.slice(4)).toEqual([
    "",
    "HOST   LABELS            WARM",
    "two    zone=a, disk=ssd  -",
    "three  -                 echo:1 container, sim/mesh process",
  ]);
});

test("however much a host says of itself, its line fits a terminal; the rest is counted, and what is too long keeps its end", async () => {
  const labels = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`label${at}`, "value"]));
  const warm = Array.from({ length: 64 }, (_, at) => `registry.example.org/team/simulation:${at} gvisor`);
  const long = { ...HOST, labels: { note: "x".repeat(200) }, warm: [`${"r/".repeat(50)}mesh:1 gvisor`] };
  const lines = await printed({ ...HOST, labels, warm }, long);
  expect(lines[5]).toMatch(/^one \* +label0=value, label1=value \+7 +\S*simulation:0 gvisor \+63$/);
  expect(lines[6]).toMatch(/^one \* +…x+ +…[r/]+mesh:1 gvisor$/);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
});

test("--json has every label and every warm task", async () => {
  await using world = new CliWorld();
  const warm = Array.from({ length: 64 }, (_, at) => `sim:${at} gvisor`);
  const found = { hosts: [{ ...HOST, labels: { zone: "a" }, warm }], self: "h1" };
  const at = await world.startDaemon({ "GET /v1/fleet": json(found) });
  const { out } = await world.run(["fleet", "--json", "-H", at]);
  expect(JSON.parse(out)).toEqual(found);
});
