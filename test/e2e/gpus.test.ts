/** The whole daemon on a stand-in for NVIDIA's library (`fake-nvml.ts`): nothing here has seen a real GPU. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Answer } from "../support/caller.ts";
import type { FakeNvml } from "../support/fake-nvml.ts";
import { openFakeNvml } from "../support/fake-nvml.ts";
import { poll } from "../support/poll.ts";
import type { ProcessDaemon, ProcessDaemonOptions, ProcessHost } from "../support/process-host.ts";
import { openProcessHost } from "../support/process-host.ts";
import { random } from "../support/random.ts";
import { SLACK } from "../support/slack.ts";

const hasGcc = spawnSync("gcc", ["--version"]).status === 0;
const POLL_MS = 100;
/** What the task is given, and when it had it; one number for each life of its program. */
const holding = (until: string): string => `
  globalThis.life ??= Math.random();
  const beganMs = Date.now();
  ${until};
  const { CUDA_VISIBLE_DEVICES: cuda, NVIDIA_VISIBLE_DEVICES: nvidia } = process.env;
  return JSON.stringify({ life, beganMs, endedMs: Date.now(), cuda, nvidia });`;

const forMs = (ms: number): string => `await sleep(${ms})`;
const UNTIL_RELEASED = "while (!globalThis.isReleased) await sleep(20)";

interface Said {
  readonly life: number;
  readonly beganMs: number;
  readonly endedMs: number;
  readonly cuda: string;
  readonly nvidia: string;
}

interface ListedCard {
  readonly id: string;
  readonly index: number;
  readonly isBusyOutside: boolean;
  readonly isHealthy: boolean;
}

interface Ask {
  readonly gpus?: number;
  readonly mem?: number;
  readonly holdMs?: number;
  /** Answers once {@link release} was called for it. */
  readonly isHeld?: boolean;
  readonly queueTimeoutMs?: number;
}

describe.skipIf(!hasGcc)("a daemon with GPUs (needs gcc)", () => {
  let host: ProcessHost;
  let nvml: FakeNvml;

  beforeAll(async () => {
    host = await openProcessHost();
    nvml = await openFakeNvml();
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await nvml[Symbol.asyncDispose]();
  });

  const ids = (): string[] => nvml.cards.map(({ id }) => id);

  async function start(gpus = "", more: ProcessDaemonOptions = {}): Promise<ProcessDaemon> {
    for (const index of [0, 1, 2, 3]) {
      nvml.set(index, { computePercent: 0, usedMib: 1, pids: [], code: 0, isListed: true, eccErrors: 0 });
    }
    const { config = "", ...rest } = more;
    return await host.start({
      env: { LD_LIBRARY_PATH: nvml.folder },
      tasks: "queue: 500, sandboxes_per_task: 8",
      ...rest,
      config: `has_gpu: true\ngpus: {poll_ms: ${POLL_MS}${gpus}}\n${config}`,
    });
  }

  async function askFor(
    { caller }: ProcessDaemon,
    { gpus, mem = 32, holdMs = 0, isHeld = false, ...more }: Ask,
    script = holding(isHeld ? UNTIL_RELEASED : forMs(holdMs)),
  ): Promise<Answer> {
    const query = new URLSearchParams({ image: host.obeys, cpu: "0.1", mem: String(mem) });
    if (gpus !== undefined) query.set("gpus", String(gpus));
    if (more.queueTimeoutMs !== undefined) query.set("queueTimeoutMs", String(more.queueTimeoutMs));
    return await caller.send("POST", `/v1/calls?${query.toString()}`, script);
  }

  /** Lets a held call answer: its own sandbox takes this one beside it. */
  async function release(daemon: ProcessDaemon, ask: Ask): Promise<void> {
    const answer = await askFor(daemon, ask, "globalThis.isReleased = true; return 'yes'");
    expect(answer).toMatchObject({ status: 200, text: "yes", start: "warm" });
  }

  const said = ({ status, text }: Answer): Said => {
    if (status !== 200) throw new Error(`${status} ${text}`);
    return JSON.parse(text) as Said;
  };
  const cardsOf = ({ cuda }: Said): string[] => cuda.split(",").filter((id) => id !== "");

  async function cards({ caller }: ProcessDaemon): Promise<readonly ListedCard[]> {
    return (await caller.get<{ gpus: readonly ListedCard[] }>("/v1/host")).gpus;
  }

  async function untilCards(
    daemon: ProcessDaemon,
    what: string,
    ask: (all: readonly ListedCard[]) => boolean,
    withinMs = 60_000,
  ): Promise<void> {
    const look = async (): Promise<true | string> => {
      const all = await cards(daemon);
      return ask(all) || JSON.stringify(all);
    };
    await poll(what, look, withinMs);
  }

  test("M23: exactly gpu_count distinct cards for each running task, and never one card for two", async () => {
    await using daemon = await start();
    await untilCards(daemon, "four cards are there", (all) => all.length === 4);
    const dice = random(23);
    // Few sizes, so that some meet a warm sandbox, some wait, and some push others out.
    const wishes = Array.from({ length: 40 }, () => ({
      gpus: dice.int(5),
      mem: 32 + dice.int(4),
      holdMs: dice.int(200),
      queueTimeoutMs: 150_000,
    }));
    const answers = await Promise.all(wishes.map((wish) => askFor(daemon, wish)));
    const lives = answers.map((answer, at) => {
      const one = said(answer);
      expect(cardsOf(one)).toHaveLength(wishes[at]?.gpus ?? -1);
      expect(new Set(cardsOf(one)).size).toBe(wishes[at]?.gpus);
      expect(ids()).toEqual(expect.arrayContaining(cardsOf(one)));
      expect(one.nvidia).toBe(one.cuda === "" ? "void" : one.cuda);
      return one;
    });
    for (const a of lives) {
      for (const b of lives) {
        const isTogether = a.life !== b.life && a.beganMs < b.endedMs && b.beganMs < a.endedMs;
        if (isTogether) expect(cardsOf(a).filter((id) => cardsOf(b).includes(id))).toEqual([]);
      }
    }
    expect(new Set(lives.flatMap(cardsOf))).toEqual(new Set(ids()));
  }, 180_000);

  test("M23: on the contract's own path use_gpu without a count means one, and more than there are is refused", async () => {
    await using daemon = await start();
    await untilCards(daemon, "four cards are there", (all) => all.length === 4);
    const send = async (resource: object): Promise<{ success: boolean; msg: string }> => {
      const body = JSON.stringify({ id: host.obeys, resource, input: holding(forMs(0)) });
      return JSON.parse((await daemon.caller.send("POST", "/", body)).text) as {
        success: boolean;
        msg: string;
      };
    };
    const one = await send({ cpu: 0.1, mem: 32, use_gpu: true, gpu_count: 0 });
    expect(cardsOf(JSON.parse(one.msg) as Said)).toHaveLength(1);
    const five = await send({ cpu: 0.1, mem: 32, use_gpu: true, gpu_count: 5 });
    expect(five).toMatchObject({ success: false, msg: expect.stringContaining("GPU") });
  });

  test("M23, E6: of 200 that ask for the last card at once, one gets it", async () => {
    await using daemon = await start(", only: [2]");
    await untilCards(daemon, "one card is there", (all) => all.length === 1);
    const wishes = Array.from({ length: 200 }, (_, at) => ({ gpus: 1, mem: 32 + at }));
    const open = new Set(wishes);
    const asks = wishes.map(async (wish) => {
      // Long enough for the start of the one that gets it.
      const answer = await askFor(daemon, { ...wish, isHeld: true, queueTimeoutMs: 15_000 });
      open.delete(wish);
      return answer;
    });
    // It goes back when nobody waits any more.
    await poll("one is left", () => open.size <= 1 || String(open.size), 120_000);
    for (const wish of open) await release(daemon, wish);
    const answers = await Promise.all(asks);
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners.map((answer) => said(answer).cuda)).toEqual([ids()[2]]);
    const codes = new Set(answers.filter(({ status }) => status !== 200).map(({ code }) => code));
    expect([...codes]).toEqual(["QUEUE_TIMEOUT"]);
    // It is free again, and serves the next.
    expect(said(await askFor(daemon, { gpus: 1, mem: 33 })).cuda).toBe(ids()[2]);
  }, 180_000);

  test("M24: cards outside of the given subset never appear", async () => {
    await using daemon = await start(`, only: [1, "${ids()[2] ?? ""}", 3]`);
    await untilCards(daemon, "three cards are there", (all) => all.length === 3);
    expect((await cards(daemon)).map(({ id }) => id)).toEqual(ids().slice(1));
    const all = said(await askFor(daemon, { gpus: 3 }));
    expect(cardsOf(all).sort()).toEqual(ids().slice(1).sort());
    const tooMany = await askFor(daemon, { gpus: 4 });
    expect(tooMany).toMatchObject({ code: "GPU_UNAVAILABLE", problem: { facts: { asked: 4, offered: 3 } } });
  });

  test("M24: a card made busy from outside is not handed out, and is again when it is free", async () => {
    await using daemon = await start();
    await untilCards(daemon, "four cards are there", (all) => all.length === 4);
    nvml.set(0, { computePercent: 95, pids: [4242] });
    nvml.set(1, { usedMib: 20_000 });
    nvml.set(3, { computePercent: 11 });
    await untilCards(
      daemon,
      "three are busy",
      (all) => all.filter((card) => card.isBusyOutside).length === 3,
      // What the row promises.
      3000 * SLACK,
    );
    expect(said(await askFor(daemon, { gpus: 1 })).cuda).toBe(ids()[2]);
    const waits = await askFor(daemon, { gpus: 2, queueTimeoutMs: 300 });
    expect(waits.code).toBe("QUEUE_TIMEOUT");
    const waiting = askFor(daemon, { gpus: 2, mem: 40 });
    nvml.set(1, { usedMib: 1 });
    expect(cardsOf(said(await waiting)).sort()).toEqual([ids()[1], ids()[2]].sort());
  });

  test("E7, M24: an ill card and a lost one are not handed out; the others serve", async () => {
    await using daemon = await start();
    nvml.set(0, { eccErrors: 1 });
    nvml.set(1, { code: 15 });
    nvml.set(3, { isListed: false });
    await untilCards(
      daemon,
      "what is wrong is known",
      (all) => all.filter((card) => card.isHealthy).length === 1,
    );
    expect(said(await askFor(daemon, { gpus: 1 })).cuda).toBe(ids()[2]);
    expect((await askFor(daemon, { gpus: 2 })).code).toBe("GPU_UNAVAILABLE");
  });

  test.each([
    ["is missing", {}, []],
    ["refuses to begin", undefined, ["fail init 9"]],
    ["hangs from the start", undefined, ["hang init"]],
  ])("E7, M24: where NVML %s, the daemon starts, serves CPU work and ends", async (_, env, lines) => {
    nvml.behave(...lines);
    try {
      await using daemon = await start("", env === undefined ? {} : { env });
      await servesWithoutCards(daemon);
    } finally {
      nvml.behave();
    }
  });

  test("E7, M24: a driver that hangs while the daemon runs harms neither CPU work nor the daemon's end", async () => {
    await using daemon = await start();
    await untilCards(daemon, "four cards are there", (all) => all.length === 4);
    nvml.behave("hang memory");
    try {
      expect(said(await askFor(daemon, {})).nvidia).toBe("void");
      // Five seconds of silence, and it is given up.
      await untilCards(daemon, "no card is to be had", (all) => all.every((card) => !card.isHealthy));
      await servesWithoutCards(daemon);
    } finally {
      nvml.behave();
    }
  });

  async function servesWithoutCards(daemon: ProcessDaemon): Promise<void> {
    expect(said(await askFor(daemon, {})).nvidia).toBe("void");
    const refused = await askFor(daemon, { gpus: 1, mem: 33, queueTimeoutMs: 500 });
    // Until the driver is given up, nobody can know whether there is a card.
    expect(["GPU_UNAVAILABLE", "QUEUE_TIMEOUT"]).toContain(refused.code);
    expect(said(await askFor(daemon, { mem: 34 })).cuda).toBe("");
    const readers = readersOf(daemon);
    expect(await daemon.daemon.end("SIGTERM")).toBe(0);
    // They are nobody's children now.
    await poll("no reader is left", () => {
      const left = readers.filter((pid) => isReader(pid));
      return left.length === 0 || left.join();
    });
  }

  test("E7: a reader that is killed is replaced, and CPU work does not notice", async () => {
    await using daemon = await start();
    await untilCards(daemon, "four cards are there", (all) => all.length === 4);
    const [pid = 0] = readersOf(daemon);
    // 0 would be this process and all with it.
    expect(pid).toBeGreaterThan(0);
    process.kill(pid, "SIGKILL");
    expect(said(await askFor(daemon, {})).nvidia).toBe("void");
    await poll("another reader reads", async () => {
      const [next] = readersOf(daemon);
      const all = await cards(daemon);
      return (
        (next !== undefined && next !== pid && all.length === 4 && all.every((card) => card.isHealthy)) ||
        JSON.stringify(all)
      );
    });
    expect(said(await askFor(daemon, { gpus: 1 })).cuda).not.toBe("");
  });

  test("the doctor tells which cards there are, by which way, and which is ill", async () => {
    await using daemon = await start();
    nvml.set(1, { usedMib: 40_960 });
    nvml.set(2, { eccErrors: 3 });
    const report = JSON.parse(
      await daemon.daemon.cli("doctor", "--config", daemon.daemon.configFile, "--json"),
    ) as {
      findings: readonly { state: string; text: string }[];
    };
    const lines = report.findings
      .map(({ state, text }) => `${state} ${text}`)
      .filter((line) => line.includes("GPU"));
    expect(lines).toEqual([
      "ok 4 GPUs, read through NVML, driver 550.54.15",
      `ok GPU 0, NVIDIA A100-SXM4-80GB, 81920 MB, ${ids()[0]}: 0 % of its computing and 0 % of its memory in use`,
      `ok GPU 1, NVIDIA A100-SXM4-80GB, 81920 MB, ${ids()[1]}: busy, 0 % of its computing and 50 % of its memory in use`,
      expect.stringMatching(/^limited GPU 2, Tesla T4, .*: not usable: 3 uncorrected memory errors/),
      expect.stringMatching(/^ok GPU 3, Tesla T4/),
    ]);
  });

  test("has_gpu can be changed while the daemon runs; off, no reader runs", async () => {
    await using daemon = await start();
    await untilCards(daemon, "four cards are there", (all) => all.length === 4);
    await daemon.caller.configure({ has_gpu: false });
    expect((await askFor(daemon, { gpus: 1 })).code).toBe("GPU_UNAVAILABLE");
    expect(await cards(daemon)).toEqual([]);
    await poll("the reader is gone", () => readersOf(daemon).length === 0 || "it runs");
    await daemon.caller.configure({ has_gpu: true });
    expect(said(await askFor(daemon, { gpus: 1 })).cuda).not.toBe("");
  });
});

/** Whether a process that is there reads cards. */
function isReader(pid: number | string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gpu-reader.mjs");
  } catch {
    return false;
  }
}

/** Ids of the readers that a running daemon has started. */
function readersOf({ daemon }: ProcessDaemon): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const parent = / \S+ (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8").replace(/.*\)/, ""))?.[1];
      return isReader(name) && Number(parent) === daemon.child.pid ? [Number(name)] : [];
    } catch {
      return []; // It has gone meanwhile.
    }
  });
}
