import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { accepts } from "../../src/drivers/process/readiness/ports.ts";
import { poll } from "../support/poll.ts";
import { openProcessHarness } from "../support/process-harness.ts";

const LIFE = fileURLToPath(new URL("../support/process-life.ts", import.meta.url));
const never = new AbortController().signal;

describe("M29: after kill -9 of the daemon", () => {
  test.each([
    ["as strongly as can be", []],
    ["without bubblewrap", ["bubblewrap"]],
    ["on the host's network", ["network"]],
    ["with nothing but processes", ["bubblewrap", "cgroup", "setpriv", "network"]],
  ] as const)("no task is left once the next life has looked, confined %s", async (_how, avoid) => {
    await using harness = await openProcessHarness({ avoid });
    const options = {
      owner: harness.owner,
      taskDirectories: [harness.taskDirectory],
      stateDirectory: join(harness.root, "state"),
      avoid,
    };
    const argument = JSON.stringify({ ...options, image: "test/echo" });
    const life = spawn(process.execPath, ["--import", "tsx", LIFE, argument], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(life.stdout, "data")) as [Buffer];
    const told = JSON.parse(line.toString("utf8")) as {
      awake: string;
      frozen: string;
      host: string;
      port: number;
    };
    expect(await accepts(told.host, told.port)).toBe(true);
    life.kill("SIGKILL");
    await once(life, "exit");

    await poll(
      "the task died with its daemon",
      async () => !(await accepts(told.host, told.port)) || "it answers",
    );

    await using next = await openProcessDriver(options, never);
    for (const leftover of await next.leftovers(never)) {
      expect([told.awake, told.frozen]).toContain(leftover.sandboxId);
      await expect(leftover.adopt(never)).rejects.toMatchObject({ code: "SANDBOX_LOST" });
      await leftover.reap(never);
    }
    expect(await accepts(told.host, told.port)).toBe(false);
    expect(await next.leftovers(never)).toEqual([]);
    // Its test of the class is a sandbox too, and ends by itself.
    await next.probe(never);
    expect(await harness.remains()).toEqual([]);
  });
});
