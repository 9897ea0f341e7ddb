/**
 * The whole daemon on a real engine, with stand-ins for NVIDIA's library (`fake-nvml.ts`) and for its hook
 * (`nvidia-hook.ts`): they show which cards are asked for, and that nothing else is; no real GPU is behind them.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import { LABEL } from "../../src/drivers/docker/container/labels.ts";
import type { FakeNvml } from "../support/fake-nvml.ts";
import { openFakeNvml } from "../support/fake-nvml.ts";
import type { FaultDaemon, FaultHost } from "../support/fault-host.ts";
import { openFaultHost } from "../support/fault-host.ts";
import { freshName } from "../support/fresh-name.ts";
import type { NvidiaHook } from "../support/nvidia-hook.ts";
import { openNvidiaHook } from "../support/nvidia-hook.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";

const hasGcc = spawnSync("gcc", ["--version"]).status === 0;
const reason = whyNoEngine() ?? (hasGcc ? undefined : "gcc is not installed");

describe.skipIf(reason !== undefined)(reason ?? "a daemon with GPUs on Docker", () => {
  const closing: AsyncDisposable[] = [];
  let hook: NvidiaHook;
  let nvml: FakeNvml;
  let host: FaultHost;

  beforeAll(async () => {
    hook = await openNvidiaHook();
    nvml = await openFakeNvml();
    host = await openFaultHost({ env: hook.env });
    closing.push(hook, nvml, host);
  }, 180_000);
  afterAll(async () => {
    for (const resource of closing.reverse()) await resource[Symbol.asyncDispose]();
  });

  async function start(owner: string, stateDir?: string): Promise<FaultDaemon> {
    return await host.start({
      owner,
      // What the first life has started is still warm in the second.
      config: "has_gpu: true\ngpus: {poll_ms: 100}\ntimeout: 60\n",
      env: { LD_LIBRARY_PATH: nvml.folder },
      ...(stateDir === undefined ? {} : { stateDir }),
    });
  }

  /** What the task's own program has in `NVIDIA_VISIBLE_DEVICES`. */
  async function cardsFor({ caller }: FaultDaemon, gpus: number, mem: number): Promise<string[]> {
    const query = new URLSearchParams({
      image: host.obeys,
      cpu: "0.1",
      mem: String(mem),
      gpus: String(gpus),
    });
    const input = "body=$NVIDIA_VISIBLE_DEVICES";
    const answer = await caller.send("POST", `/v1/calls?${query.toString()}`, input);
    expect(answer.status, answer.text).toBe(200);
    return answer.text === "void" ? [] : answer.text.split(",");
  }

  /** Who holds which cards, by the daemon's books. */
  async function booked({ caller }: FaultDaemon): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {};
    for (const { id, holders } of (await caller.get<Host>("/v1/host")).gpus) {
      for (const { sandboxId } of holders) found[sandboxId] = [...(found[sandboxId] ?? []), id];
    }
    return found;
  }

  async function untilCards(daemon: FaultDaemon): Promise<void> {
    await poll("four cards are there", async () => {
      const { gpus, gpuTrouble } = await daemon.caller.get<Host>("/v1/host");
      return gpus.length === 4 || String(gpuTrouble);
    });
  }

  test("M23: the engine is asked for exactly what the books say, and a killed daemon's successor books the same", async () => {
    const owner = freshName("gpus");
    const first = await start(owner);
    let books: Record<string, string[]>;
    try {
      await untilCards(first);
      const [one, two, none] = await Promise.all([
        cardsFor(first, 1, 32),
        cardsFor(first, 2, 33),
        cardsFor(first, 0, 34),
      ]);
      expect([one.length, two.length, none.length]).toEqual([1, 2, 0]);
      expect(new Set([...one, ...two]).size).toBe(3);
      books = await booked(first);
      for (const { Id, Labels } of await host.sandboxesOf(owner)) {
        const held = books[Labels[LABEL.SANDBOX] ?? ""];
        expect(hook.asked(Id)?.split(",").sort()).toEqual(held?.sort());
      }
      await first.daemon.end("SIGKILL");

      await using second = await start(owner, first.daemon.stateDir);
      await untilCards(second);
      const sorted = (all: Record<string, string[]>): string[] =>
        Object.entries(all)
          .map(([id, cards]) => `${id} ${cards.sort().join()}`)
          .sort();
      await poll("the same cards are held", async () => {
        const now = await booked(second);
        return sorted(now).join() === sorted(books).join() || JSON.stringify(now);
      });
      const rest = nvml.cards.map(({ id }) => id).filter((id) => ![...one, ...two].includes(id));
      expect(await cardsFor(second, 1, 35)).toEqual(rest);
    } finally {
      await first[Symbol.asyncDispose]();
    }
  }, 240_000);
});

describe.skipIf(reason !== undefined)(
  reason ?? "a daemon with GPUs on a Docker without NVIDIA's tools",
  () => {
    const closing: AsyncDisposable[] = [];
    let nvml: FakeNvml;
    let host: FaultHost;

    beforeAll(async () => {
      nvml = await openFakeNvml();
      host = await openFaultHost();
      closing.push(nvml, host);
    }, 180_000);
    afterAll(async () => {
      for (const resource of closing.reverse()) await resource[Symbol.asyncDispose]();
    });

    test("M23: its books offer no card that Docker cannot hand over, everything says why, and other calls go on", async () => {
      await using daemon = await host.start({
        config: "has_gpu: true\ngpus: {poll_ms: 100}\n",
        env: { LD_LIBRARY_PATH: nvml.folder },
      });
      const { caller } = daemon;
      const why = /NVIDIA Container Toolkit is not installed/;
      await poll("the cards were tried", async () => {
        const seen = await caller.get<Host>("/v1/host");
        return seen.gpus.length === 4 || `${seen.gpus.length} cards`;
      });
      const { capacity, gpus } = await caller.get<Host>("/v1/host");
      expect(capacity.gpuCount).toBe(0);
      for (const gpu of gpus)
        expect(gpu).toMatchObject({ isHealthy: false, reason: expect.stringMatching(why) });

      const ask = (gpuCount: number): ReturnType<typeof caller.send> =>
        caller.send("POST", `/v1/calls?image=${host.obeys}&cpu=0.1&mem=32&gpus=${gpuCount}`, "body=yes");
      const refused = await ask(1);
      expect([refused.status, refused.text]).toEqual([expect.any(Number), expect.stringMatching(why)]);
      expect(JSON.parse(refused.text)).toMatchObject({
        code: "GPU_UNAVAILABLE",
        facts: { asked: 1, offered: 0 },
      });
      // Refused by the books, not by a start that was tried.
      expect(await host.sandboxesOf(daemon.owner)).toEqual([]);
      expect(await ask(0)).toMatchObject({ status: 200, text: "yes" });

      const reported = await fetch(`${daemon.daemon.monitorUrl}/state/reported`, {
        headers: { accept: "application/json" },
      });
      expect(await reported.json()).toMatchObject({
        total_gpus: 0,
        free_gpus: 0,
        gpus_unusable: expect.stringMatching(why),
      });
      const doctor = await daemon.daemon.cli("doctor", "--config", daemon.daemon.configFile);
      expect(doctor).toMatch(/container: tasks cannot be given GPUs: .*NVIDIA Container Toolkit/);
    }, 240_000);
  },
);
