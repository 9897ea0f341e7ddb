import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { factsOf } from "../../src/drivers/process/process-table.ts";
import { jobSpec } from "../conformance/sandbox-driver/job-scene.ts";
import { poll } from "../support/poll.ts";
import { openProcessHarness } from "../support/process-harness.ts";

const LIFE = fileURLToPath(new URL("../support/job-life.ts", import.meta.url));
const never = new AbortController().signal;
/** A job with a child that left its group and its parents. */
const SCRIPT = `(setsid sh -c 'n=0; while :; do n=$((n+1)); echo $n > alive; sleep 0.05; done' &); sleep 1000`;

test("I12: a job whose spawner is killed is lost, so that its queue starts it anew; nothing of it is left", async () => {
  await using harness = await openProcessHarness();
  const { driver, jobs } = harness;
  await mkdir(join(jobs.shared.localPath, "orphan"));
  const image = await driver.resolve(jobs.image, { refresh: "missing" }, never);
  const job = await driver.startJob(jobSpec(jobs, image, "orphan", ["sh", "-c", "sleep 1000"]), never);
  const leader = Number(/\d+$/.exec(job.label)?.[0]);
  const spawner = factsOf(leader)?.parent ?? 0;
  expect(await readFile(`/proc/${spawner}/cmdline`, "utf8")).toMatch(/spawner.*\0serve\0$/);
  process.kill(spawner, "SIGKILL");
  expect(await job.ended).toEqual({ type: "lost" });
  await job.remove();
  await poll("nothing is left", async () => (await harness.remains()).length === 0 || "something is");
});

describe("M29, I12: after kill -9 of the daemon", () => {
  test.each([
    ["as strongly as can be", []],
    ["without bubblewrap", ["bubblewrap"]],
    ["with nothing but processes", ["bubblewrap", "cgroup", "setpriv", "network"]],
  ] as const)("no job is left once the next life has looked, confined %s", async (_how, avoid) => {
    await using harness = await openProcessHarness({ avoid });
    const options = {
      owner: harness.owner,
      taskDirectories: [harness.taskDirectory],
      stateDirectory: join(harness.root, "state"),
      avoid,
    };
    const folder = join(harness.jobs.shared.localPath, "killed");
    await mkdir(folder);
    const life = { process: options, jobs: harness.jobs, folder: "killed", script: SCRIPT };
    const child = spawn(process.execPath, ["--import", "tsx", LIFE, JSON.stringify(life)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { sandboxId } = JSON.parse(line.toString("utf8")) as { sandboxId: string };
    const count = (): Promise<string> => readFile(join(folder, "alive"), "utf8").catch(() => "");
    await poll("its daemon lives", async () => (await count()) !== "" || "not yet");
    child.kill("SIGKILL");
    await once(child, "exit");

    await using next = await openProcessDriver(options, never);
    expect(await next.leftovers(never)).toEqual([]);
    for (const leftover of await next.jobLeftovers(never)) {
      expect(leftover.sandboxId).toBe(sandboxId);
      await expect(leftover.adopt(never)).rejects.toMatchObject({ code: "SANDBOX_LOST" });
      await leftover.reap(never);
    }
    expect(await next.jobLeftovers(never)).toEqual([]);
    const last = await count();
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Its files are its door's to remove.
    expect(await count()).toBe(last);
    await next.probe(never);
    expect(await harness.remains()).toEqual([]);
  });
});
