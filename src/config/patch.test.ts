import { expect, test } from "vitest";
import { describeConfig } from "./describe.ts";
import { printFault } from "./fault.ts";
import { LiveConfig } from "./live-config.ts";
import type { Loaded } from "./load.ts";
import { loadConfig } from "./load.ts";
import { applyPatch } from "./patch.ts";

function loaded(env: Record<string, string> = {}): Loaded {
  const result = loadConfig({
    env: { HOME: "/nowhere", XDG_CONFIG_HOME: "/nowhere", ...env },
    cwd: "/nowhere",
    isRoot: false,
  });
  if (result.loaded === undefined) throw new Error("the defaults are wrong");
  return result.loaded;
}

function faultsOf(patch: unknown): string[] {
  return applyPatch(loaded(), patch).faults.map(printFault);
}

test("a change may be nested or dotted, and says what it changed", () => {
  const result = applyPatch(loaded(), {
    cpu: 2,
    tasks: { slots: 5 },
    "tasks.queue": 6,
    log: { level: "debug" },
  });
  expect(result.loaded?.config).toMatchObject({
    cpu: 2,
    mem: 4096,
    tasks: { slots: 5, queue: 6 },
    log: { level: "debug" },
  });
  expect(result.loaded === undefined || result.changed).toEqual([
    "cpu",
    "tasks.slots",
    "tasks.queue",
    "log.level",
  ]);
});

test("a change is laid over what is in force, with the host's defaults and the secrets kept", () => {
  const before = loaded({ HEARTH_HTTP_TOKEN: "canary" });
  const first = applyPatch(before, { cpu: 2 }).loaded ?? before;
  const second = applyPatch(first, { mem: 100 }).loaded ?? before;
  expect(second.config).toMatchObject({ cpu: 2, mem: 100, state_dir: before.config.state_dir });
  expect(second.config.http.token.reveal()).toBe("canary");
  expect(before.config.cpu).toBe(4);
});

test("E4: one wrong value, unknown key or setting that cannot change refuses the whole change, with every fault", () => {
  expect(faultsOf({ cpu: 0, http: { port: 1 }, tasks: { slot: 1 }, nothing: 1 })).toEqual([
    "tasks.slot: there is no such setting; did you mean tasks.slots?",
    "nothing: there is no such setting",
    "http.port: this cannot change while the daemon runs",
    "cpu: expected a number above 0 up to 4096 (cores), found 0",
  ]);
  expect(faultsOf({ cpu: "2", mem: -1 })).toEqual([
    'cpu: expected a number above 0 up to 4096 (cores), found "2"',
    "mem: expected a whole number from 1 to 67108864 (MB), found -1",
  ]);
  for (const patch of [null, 5, [], "cpu", { tasks: 5 }]) {
    expect(faultsOf(patch).join()).toContain("expected keys and values");
  }
});

test("E4: hostile keys change nothing", () => {
  const patch: unknown = JSON.parse(
    '{"__proto__":{"cpu":1},"constructor":{"prototype":{"x":1}},"tasks.__proto__":{"slots":1}}',
  );
  expect(faultsOf(patch)).toHaveLength(3);
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
});

test("a description of what is in force shows every setting once, its origin, and no secret", () => {
  const entries = describeConfig(
    applyPatch(loaded({ HEARTH_HTTP_TOKEN: "canary", HEARTH_MEM: "9" }), { cpu: 2 }).loaded ?? loaded(),
  );
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  expect(byKey.size).toBe(entries.length);
  expect(byKey.get("cpu")).toMatchObject({ value: 2, origin: "api", unit: "cores", isLive: true });
  expect(byKey.get("mem")).toMatchObject({ value: 9, origin: "HEARTH_MEM" });
  expect(byKey.get("http.port")).toMatchObject({ value: 2591, origin: "default", isLive: false });
  expect(byKey.get("http.token")?.value).toBe("[redacted]");
});

test("a runtime is shown with its class and with what its operator consents to", () => {
  const runtimes = [{ name: "runsc", isolation: "gvisor", limits: "optional" }];
  const entries = describeConfig(applyPatch(loaded(), { runtimes }).loaded ?? loaded());
  expect(entries.find(({ key }) => key === "runtimes")?.value).toEqual(["runsc (gvisor, optional)"]);
});

test("E4: a running configuration is changed as a whole or stays as it is", () => {
  const applied: number[] = [];
  const host = { cpuMillis: 2000, memoryBytes: 2 ** 33 };
  const live = new LiveConfig(loaded(), host, (settings) => void applied.push(settings.cpuMillis));
  expect(live.change({ cpu: 8 })).toMatchObject({
    isApplied: true,
    changed: ["cpu"],
    notes: [expect.any(String)],
  });
  expect(live.change({ cpu: 1, mem: -1 })).toMatchObject({ isApplied: false, faults: [{ key: "mem" }] });
  expect(applied).toEqual([2000]);
  expect(live.describe().find(({ key }) => key === "cpu")).toMatchObject({ value: 8, origin: "api" });
});

test("a file read anew changes what may change, and names what waits for a start", () => {
  const live = new LiveConfig(
    loaded({ HEARTH_CPU: "3" }),
    { cpuMillis: 9000, memoryBytes: 2 ** 33 },
    () => undefined,
  );
  live.change({ cpu: 1, mem: 7 });
  const fresh = loaded({ HEARTH_CPU: "2", HEARTH_HTTP_PORT: "1", HEARTH_HTTP_TOKEN: "canary" });
  expect(live.replace(fresh).needRestart).toEqual(["http.port", "http.token"]);
  const now = new Map(live.describe().map((entry) => [entry.key, entry]));
  expect(now.get("cpu")).toMatchObject({ value: 2, origin: "HEARTH_CPU" });
  expect(now.get("mem")).toMatchObject({ value: 4096, origin: "default" });
  expect(now.get("http.port")).toMatchObject({ value: 2591, origin: "default" });
  expect(live.change({ mem: 8 })).toMatchObject({ isApplied: true });
  expect(live.describe().find(({ key }) => key === "http.port")?.value).toBe(2591);
});
