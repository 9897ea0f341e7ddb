import { expect, test } from "vitest";
import type { Host, Live, LiveSandbox } from "../../client/index.ts";
import { headLines, jobLines, taskLines } from "./draw.ts";
import { keysOf } from "./keys.ts";
import { cut, Screen } from "./screen.ts";
import { listed } from "./sort.ts";
import { afterMessage } from "./state.ts";
import type { View } from "./view.ts";
import { afterKey, FIRST_VIEW, screenLines } from "./view.ts";

const plain = (_: string, text: string): string => text;

const HELD = { cpuMillis: 500, memoryBytes: 2 ** 28, gpuCount: 1 };
const NOTHING = { cpuMillis: 0, memoryBytes: 0, gpuCount: 0 };

const HOST: Host = {
  version: "1.2.3",
  state: "running",
  driver: "docker",
  isolation: ["container"],
  classes: [],
  networks: { default: "internal", offered: ["none", "internal"], isFiltered: true, reasons: [] },
  canFreeze: true,
  canAdopt: true,
  cpuMillis: 4000,
  memoryBytes: 8 * 2 ** 30,
  cpuPercent: 50,
  memoryPercent: 95,
  memoryAvailableBytes: 2 ** 29,
  capacity: { cpuMillis: 2000, memoryBytes: 2 ** 30, gpuCount: 1 },
  reserved: HELD,
  reservedByDoor: { http: HELD, stream: NOTHING, indexify: NOTHING },
  gpuModel: "T4",
  gpus: [
    {
      id: "GPU-1",
      index: 0,
      model: "T4",
      memoryBytes: 2 ** 34,
      memoryUsedBytes: 2 ** 33,
      computePercent: 10,
      isHealthy: true,
      isBusyOutside: true,
      holders: [],
    },
  ],
  running: 1,
  waiting: 2,
  sandboxes: 2,
  takesJobs: true,
  jobs: { running: 0, waiting: 0 },
};

const AT = "2026-11-20T10:00:10.000Z";

function warm(id: string, image: string, calls: number): LiveSandbox {
  return {
    id,
    label: `hearth_${id}`,
    taskKey: image,
    image,
    isolation: "container",
    isolationWish: "default",
    network: "default",
    sgx: false,
    tier: "hot",
    resources: { cpuMillis: 500, memoryBytes: 2 ** 27, gpuCount: 0, gpuMemoryBytes: 0 },
    gpuIds: [],
    reserved: { cpuMillis: 500, memoryBytes: 2 ** 27, gpuCount: 0 },
    slotsUsed: 0,
    slots: 4,
    calls,
    sessions: 0,
    createdAt: "2026-11-20T10:00:00.000Z",
    warnings: [],
  };
}

const SNAPSHOT: Live = {
  type: "snapshot",
  at: AT,
  host: HOST,
  engine: { isHealthy: true, detail: "" },
  waiting: [
    {
      taskKey: "c",
      image: "c",
      resources: warm("x", "c", 0).resources,
      callers: 2,
      waitedMs: 1500,
      reason: "others",
    },
    {
      taskKey: "d",
      image: "d",
      resources: warm("x", "d", 0).resources,
      callers: 1,
      waitedMs: 2000,
      reason: "no room",
      jobIds: ["j9"],
    },
  ],
  jobs: [
    {
      jobId: "j1",
      attempt: 2,
      door: "stream",
      state: "running",
      sandboxId: "s9",
      image: "sim:1",
      isolationWish: "default",
      network: "default",
      resources: warm("x", "c", 0).resources,
      reserved: NOTHING,
      gpuIds: [],
      ageMs: 3000,
      ranMs: 2000,
    },
  ],
  life: "1",
  intervalMs: 500,
  sandboxes: [warm("s1", "alpha", 3), warm("s2", "beta", 7)],
  events: [],
};

function stateOf(...messages: Live[]) {
  let state = afterMessage(undefined, SNAPSHOT);
  for (const message of messages) state = afterMessage(state, message);
  if (state === undefined) throw new Error("a snapshot gives a state");
  return state;
}

test("a worker is shown by what it serves, not by its program", () => {
  const worker = { ...stateOf().jobs[0]!, attempt: 1, image: "/bin/function-executor", serves: "n:a:f:v1" };
  expect(jobLines([worker], 8)).toEqual(["j1  n:a:f:v1  running, ran 2.0 s  0.5 cores, 128 MB"]);
});

test("a sample changes what it names and leaves the rest; calls become a rate", () => {
  const calls = {
    id: "1",
    at: AT,
    type: "calls",
    intervalMs: 500,
    answered: 9,
    failed: 1,
    cancelled: 0,
  } as const;
  const state = stateOf({
    type: "sample",
    at: AT,
    host: { ...HOST, running: 0 },
    engine: { isHealthy: true, detail: "" },
    waiting: [],
    jobs: [],
    sandboxes: { changed: [warm("s3", "gamma", 0)], gone: ["s1"] },
    events: [{ ...calls, tookMs: { p50: 2, p90: 3, p99: 4, max: 5 } } as never],
  });
  expect([...state.sandboxes.keys()]).toEqual(["s2", "s3"]);
  expect(state.callsPerSecond).toEqual([20]);
  expect(state.latency).toEqual({ p50: 2, p99: 4 });
  expect(headLines(state, plain).at(-1)).toBe("calls   20/s   p50 2.0 ms  p99 4.0 ms   █");
});

test("jobs that run and jobs that wait are on the screen, with why they wait, and go when they are over", () => {
  const screen = screenLines(stateOf(), FIRST_VIEW, { rows: 30, columns: 110 }, plain);
  expect(screen).toContain("waits   1 job of d, 2.0 s: no room");
  expect(screen).toContain("job     j1 (try 2)  sim:1  running, ran 2.0 s  0.5 cores, 128 MB");
  const over = stateOf({ ...SNAPSHOT, jobs: [], waiting: [] });
  expect(screenLines(over, FIRST_VIEW, { rows: 30, columns: 110 }, plain).join("\n")).not.toMatch(
    /^(job|waits) /m,
  );
});

test("the head says what the host has, holds and lacks", () => {
  const lines = headLines(
    { ...stateOf(), engine: { isHealthy: false, detail: "no\u001b[2J answer" } },
    plain,
  );
  expect(lines).toEqual([
    "hearth 1.2.3  docker  running   1 running  2 waiting  2 warm",
    "the engine does not answer: no\\x1b[2J answer",
    "cpu     ██████████░░░░░░░░░░  50 %  of 4 cores",
    "memory  ███████████████████░  95 %  of 8 GB",
    "tasks   █████░░░░░░░░░░░░░░░  25 %  0.5 of 2 cores held, 256 MB of 1 GB",
    "gpu 0   ██░░░░░░░░░░░░░░░░░░  10 %  8 GB of 16 GB  T4  busy outside",
    "calls   0/s",
  ]);
});

test("tasks are ordered and filtered, and a hostile name is shown and not obeyed", () => {
  const { sandboxes } = stateOf();
  const ids = (view: Partial<View>): string[] =>
    listed(sandboxes.values(), { ...FIRST_VIEW, ...view }).map(({ id }) => id);
  expect(ids({})).toEqual(["s2", "s1"]);
  expect(ids({ sort: "task" })).toEqual(["s1", "s2"]);
  expect(ids({ filter: "ALPH" })).toEqual(["s1"]);
  const { rows } = taskLines([warm("s9", "\u001b[31mevil", 1)], Date.parse(AT));
  expect(rows[0]).toContain("\\x1b[31mevil");
  expect(rows[0]).toContain("10 s");
});

test("keys: pieces of one chunk, sequences without a meaning dropped whole", () => {
  expect(keysOf("\u001b[Aq\u001b[5~x\u0003")).toEqual([
    { type: "up" },
    { type: "text", text: "q" },
    { type: "text", text: "x" },
    { type: "end" },
  ]);
});

function press(keys: string, from: View = FIRST_VIEW) {
  let view = from;
  for (const key of keysOf(keys)) {
    const step = afterKey(view, key, stateOf());
    if (step.type !== "show") return step;
    view = step.view;
  }
  return { type: "show", view } as const;
}

test("nothing is done to the daemon without a yes", () => {
  expect(press("x")).toMatchObject({ view: { message: "choose a task first: up and down" } });
  expect(press("\u001b[Bx")).toMatchObject({
    view: { mode: { type: "ask", question: "remove beta (s2)?" } },
  });
  expect(press("\u001b[Bxn")).toMatchObject({ view: { mode: { type: "list" } } });
  expect(press("\u001b[Bxy")).toMatchObject({ type: "do", action: { type: "evict", sandboxId: "s2" } });
  expect(press("py")).toMatchObject({ type: "do", action: { type: "pause" } });
  expect(press("p\u001b")).toMatchObject({ type: "show", view: { mode: { type: "list" } } });
  expect(press("q")).toEqual({ type: "leave" });
  expect(press("/q")).toMatchObject({ view: { filter: "q", mode: { type: "filter" } } });
  expect(press("/\u0003")).toEqual({ type: "leave" });
});

test("the screen shows the chosen row, what waits and why, and fits its rows", () => {
  const { view } = press("\u001b[B") as { view: View };
  const lines = screenLines(stateOf(), view, { rows: 24, columns: 110 }, plain);
  expect(lines).toHaveLength(24);
  expect(lines).toContain("waits   2 x c, 1.5 s: others");
  expect(lines.filter((line) => line.startsWith("> "))).toEqual([expect.stringContaining("beta")]);
  const lost = screenLines(
    stateOf(),
    { ...view, trouble: "the daemon does not answer" },
    { rows: 24, columns: 110 },
    plain,
  );
  expect(lost[0]).toBe("the daemon does not answer");
  expect(screenLines(undefined, FIRST_VIEW, { rows: 24, columns: 110 }, plain)).toContain("connecting ...");
});

test("however much there is to say, the question is on the last line, and a warm task above it", () => {
  const [card] = HOST.gpus;
  const [call] = SNAPSHOT.waiting;
  const [job] = SNAPSHOT.jobs;
  const busy = stateOf({
    ...SNAPSHOT,
    host: { ...HOST, gpus: Array.from({ length: 8 }, () => card!), jobs: { running: 20, waiting: 3 } },
    waiting: Array.from({ length: 40 }, () => call!),
    jobs: Array.from({ length: 20 }, () => job!),
  });
  const view: View = {
    ...FIRST_VIEW,
    selected: "s2",
    mode: { type: "ask", question: "sure?", action: { type: "pause" } },
  };
  for (const rows of [12, 24, 40]) {
    const lines = screenLines(busy, view, { rows, columns: 80 }, plain);
    expect(lines).toHaveLength(rows);
    expect(lines.at(-1)).toBe("sure? y/n");
    expect(lines.filter((line) => line.startsWith("> beta"))).toHaveLength(1);
    expect(lines[0]).toContain("20 jobs  3 waiting");
  }
  const tall = screenLines(busy, view, { rows: 40, columns: 80 }, plain);
  expect(tall.filter((line) => line.startsWith("waits   2 x c"))).toHaveLength(6);
  expect(tall).toContain("waits   34 more: hearth ps");
});

test("a long name is cut at its front, so that all figures are on the screen", () => {
  const long = `registry.example.org/${"deep/".repeat(20)}simple-foam:1.2`;
  const [head, row] = ((one) => [one.head, one.rows[0] ?? ""])(
    taskLines([warm("s9", long, 1234567)], Date.parse(AT), 90),
  );
  expect([head.length, row.length]).toEqual([90, 90]);
  expect(row).toMatch(/^….*simple-foam:1\.2 +hot +container .* 1234567 +10 s/);
  // Where there is no screen, nothing is cut.
  expect(taskLines([warm("s9", long, 1)], Date.parse(AT)).rows[0]).toContain(long);
});

test("only lines that differ are written again, cut at the edge, and the terminal is left as it was", () => {
  const written: string[] = [];
  const terminal = {
    columns: 5,
    rows: 2,
    write: (text: string) => written.push(text),
    onInput: () => () => undefined,
    onResize: () => () => undefined,
  };
  {
    using screen = new Screen(terminal);
    screen.show(["one", "two"]);
    written.length = 0;
    screen.show(["one", "three and more"]);
    expect(written.join("")).toBe("\u001b[2;1Hthree\u001b[0m\u001b[K");
    screen.show(["one", "three and more"]);
    expect(written).toHaveLength(1);
  }
  expect(written.at(-1)).toBe("\u001b[?25h\u001b[?1049l");
  expect(cut("\u001b[31mabcdef\u001b[39m", 3)).toBe("\u001b[31mabc\u001b[39m".slice(0, 8));
});
