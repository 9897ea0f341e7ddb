import { existsSync } from "node:fs";
import { availableParallelism, homedir, totalmem } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, call, stats } from "../support/legacy-call.ts";
import type { TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import type { Daemon } from "../support/start-daemon.ts";

const reason = whyNoEngine();
const CORES = availableParallelism();
/** Where a file is looked for that nobody named. */
const OWN_PLACES = ["/app/mecanywhere_executor.yaml", "/app/meca_executor.yaml", "/etc/hearth/config.yaml"];

/** What may be asked for, and what the host can give of it. */
const clamped = (cpu: number, mem: number): Record<string, number> => ({
  task_cpu: Math.min(cpu, CORES),
  task_mem: Math.min(mem, Math.floor((totalmem() * 0.8) / 1_048_576)),
});

interface Sample {
  readonly about: string;
  readonly text: string;
  readonly cpu: number;
  readonly mem: number;
  readonly timeout: number;
}

/** The shapes in which the files of known installations come: every key of the contract, alone and together. */
const SAMPLES: readonly Sample[] = [
  {
    about: "the usual one",
    text: "type: docker\ntimeout: 2\ncpu: 1\nmem: 2048\nhas_gpu: false\n",
    cpu: 1,
    mem: 2048,
    timeout: 2,
  },
  {
    about: "one with every key, for hardware that is not here",
    text: [
      "# what this host gives to tasks",
      "type: docker",
      "timeout: 60 # minutes",
      "cpu: 512",
      "mem: 1024",
      "has_gpu: true",
      "microVM_runtime: kata",
      "sgx:",
      "  enable: true",
      "  sgx_device: /dev/sgx_enclave",
      "  aesmd_path: /var/run/aesmd",
    ].join("\n"),
    cpu: 512,
    mem: 1024,
    timeout: 60,
  },
  { about: "one with a fraction of a core", text: "cpu: 1.5\n", cpu: 1.5, mem: 4096, timeout: 1 },
  {
    about: "one with more memory than there is, quoted and with Windows line ends",
    text: '"cpu": 1\r\nmem: 60000000\r\n',
    cpu: 1,
    mem: 60_000_000,
    timeout: 1,
  },
  {
    about: "one whose keys have no values",
    text: "type:\ntimeout:\ncpu:\nmem:\nhas_gpu:\nmicroVM_runtime:\nsgx:\n",
    cpu: 4,
    mem: 4096,
    timeout: 1,
  },
  { about: "an empty one", text: "", cpu: 4, mem: 4096, timeout: 1 },
];

interface Broken {
  readonly about: string;
  readonly text: string;
  /** Where each fault is, and a word that its sentence must have. */
  readonly faults: readonly (readonly [place: string, word: string])[];
}

const BROKEN: readonly Broken[] = [
  {
    about: "wrong values, a key that nobody knows and a group that is none",
    text: [
      "type: qemu",
      "timeout: soon",
      "cpu: four",
      "mem: 1.5",
      "has_gpu: maybe",
      "http:",
      "  prot: 1",
      "sgx: [1]",
      "microVM_runtime: 7",
    ].join("\n"),
    faults: [
      ["1:7", "type"],
      ["2:10", "timeout"],
      ["3:6", "cpu"],
      ["4:6", "mem"],
      ["5:10", "has_gpu"],
      ["7:3", "http.port?"],
      ["8:6", "sgx"],
      ["9:18", "microVM_runtime"],
    ],
  },
  {
    about: "values that are out of bounds, and a key that is there twice",
    text: "cpu: -1\nmem: 0\ncpu: 2\ntimeout: 0\n",
    faults: [
      ["3:1", "twice"],
      ["2:6", "mem"],
      ["4:10", "timeout"],
    ],
  },
  { about: "what is no YAML", text: 'type: docker\ncpu: "1\n', faults: [["3:1", "YAML"]] },
  { about: "a list instead of keys", text: "- cpu: 1\n", faults: [["1:1", "keys"]] },
];

describe.skipIf(reason !== undefined)(`configuration${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;

  beforeAll(async () => {
    host = await openTestHost();
  }, 180_000);
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  async function setting(daemon: Daemon, key: string): Promise<{ value: unknown; origin: string }> {
    const { json } = await ask(daemon, "/v1/config");
    const { settings } = json as { settings: { key: string; value: unknown; origin: string }[] };
    const found = settings.find((one) => one.key === key);
    if (found === undefined) throw new Error(`no setting ${key}`);
    return found;
  }

  test.each(SAMPLES)(
    "M1: a file like $about starts the daemon, and its limits are in force",
    async (sample) => {
      await using daemon = await host.start({ config: sample.text });
      expect(await stats(daemon)).toMatchObject(clamped(sample.cpu, sample.mem));
      expect((await setting(daemon, "timeout")).value).toBe(sample.timeout);
    },
  );

  test.each(BROKEN)("M1: $about stops the start with the place of every fault", async ({ text, faults }) => {
    await using daemon = await host.start({ config: text, waits: false });
    expect(await daemon.ended).toBe(2);
    const lines = daemon.log().trim().split("\n");
    for (const [place, word] of faults) {
      const found = lines.filter((line) => line.startsWith(`${daemon.configFile}:${place}: `));
      expect(found, `${place} in ${lines.join("\n")}`).toHaveLength(1);
      expect(found[0]).toContain(word);
    }
    expect(lines.filter((line) => line.startsWith(daemon.configFile))).toHaveLength(faults.length);
    expect(existsSync(daemon.stateDir)).toBe(false);
  });

  const present = OWN_PLACES.find((path) => existsSync(path));
  const withFile = present === undefined ? "" : ` (this host has a ${present})`;
  const bare = "M1: without a file there are 4 CPU, 4096 MB and one minute, clamped to the host";
  test.skipIf(present !== undefined)(`${bare}${withFile}`, async () => {
    await using daemon = await host.start({
      hasFile: false,
      env: { HEARTH_CONFIG: "", XDG_CONFIG_HOME: join(homedir(), ".no-such-folder") },
    });
    expect(await stats(daemon)).toMatchObject(clamped(4, 4096));
    expect(await setting(daemon, "timeout")).toMatchObject({ value: 1, origin: "default" });
  });

  test("M1: a flag is stronger than a variable, a variable than the file, the file than the default", async () => {
    await using daemon = await host.start({
      config: "cpu: 0.4\nmem: 1000\ntimeout: 7\n",
      env: { HEARTH_CPU: "0.6", HEARTH_MEM: "900", HEARTH_TIMEOUT: "" },
      args: ["--cpu", "0.8", "--tasks-queue=17"],
    });
    expect(await stats(daemon)).toMatchObject(clamped(0.8, 900));
    expect(await setting(daemon, "timeout")).toEqual(
      expect.objectContaining({ value: 7, origin: `${daemon.configFile}:3:10` }),
    );
    expect(await setting(daemon, "mem")).toMatchObject({ value: 900, origin: "HEARTH_MEM" });
    expect(await setting(daemon, "cpu")).toMatchObject({ value: 0.8, origin: "--cpu" });
    expect(await setting(daemon, "tasks.queue")).toMatchObject({ value: 17, origin: "--tasks-queue" });
    expect(await call(daemon, host.task, "x", { resource: { cpu: 0.8, mem: 32 } })).toMatchObject({
      msg: "x",
    });
    expect(await call(daemon, host.task, "x", { resource: { cpu: 0.9, mem: 32 } })).toMatchObject({
      success: false,
      msg: expect.stringContaining("above") as unknown,
    });
  });

  test("M1: wrong variables and flags stop the start as a wrong file does, all of them at once", async () => {
    await using daemon = await host.start({
      config: "mem: none\n",
      env: { HEARTH_CPU: "many" },
      args: ["--timeout", "never"],
      waits: false,
    });
    expect(await daemon.ended).toBe(2);
    expect(daemon.log()).toContain(`${daemon.configFile}:1:6: mem: `);
    expect(daemon.log()).toMatch(/^HEARTH_CPU: .*"many"$/m);
    expect(daemon.log()).toMatch(/^--timeout: .*"never"$/m);
  });

  test("M1: a file that is named and cannot be read stops the start and is named", async () => {
    await using daemon = await host.start({
      hasFile: false,
      args: ["--config", "/no/such/file.yaml"],
      waits: false,
    });
    expect(await daemon.ended).toBe(2);
    expect(daemon.log()).toContain("/no/such/file.yaml");
  });
});
