import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Docker from "dockerode";
import { describe, expect, test } from "vitest";
import type { Endpoint, SandboxDriver } from "../../src/core/index.ts";
import type { DockerDriverOptions } from "../../src/drivers/docker/index.ts";
import { openDockerDriver } from "../../src/drivers/docker/index.ts";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { ANSWER, hear } from "../conformance/sandbox-driver/worker-scene.ts";
import { openDockerHarness } from "../support/docker-harness.ts";
import { buildJobImage } from "../support/images.ts";
import type { JobLife } from "../support/job-life.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { openProcessHarness } from "../support/process-harness.ts";
import { rangeOf } from "../support/range-of.ts";

const LIFE = fileURLToPath(new URL("../support/job-life.ts", import.meta.url));
const never = new AbortController().signal;
const reason = whyNoEngine();

interface Killed {
  readonly pid: number | undefined;
  readonly sandboxId: string;
  readonly endpoint: Endpoint;
}

/** A daemon's life with one worker in it that is killed once `isReady` says so. */
async function liveAndDie(
  life: Omit<JobLife, "folder" | "isWorker">,
  isReady: (endpoint: Endpoint) => Promise<true | string>,
): Promise<Killed> {
  const whole: JobLife = { ...life, folder: "", isWorker: true };
  const child = spawn(process.execPath, ["--import", "tsx", LIFE, JSON.stringify(whole)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const told = JSON.parse(line.toString("utf8")) as { sandboxId: string; endpoint: Endpoint };
  await poll("its worker is at work", () => isReady(told.endpoint));
  child.kill("SIGKILL");
  await once(child, "exit");
  return { ...told, pid: child.pid };
}

/** Reaps what the next life finds; nobody may take it over. @returns whose it was. */
async function reapAll(next: SandboxDriver): Promise<readonly string[]> {
  // A life that is killed young leaves its test process as well.
  for (const leftover of await next.leftovers(never)) {
    expect(leftover.sandboxId).toMatch(/^probe-/);
    await leftover.reap(never);
  }
  const found = await next.jobLeftovers(never);
  for (const leftover of found) {
    expect(leftover.mark).toBeUndefined();
    await expect(leftover.adopt(never)).rejects.toMatchObject({ code: "SANDBOX_LOST" });
    await leftover.reap(never);
  }
  expect(await next.jobLeftovers(never)).toEqual([]);
  return found.map(({ sandboxId }) => sandboxId);
}

describe("X10: after kill -9 of the daemon", () => {
  test.each([
    ["in a cgroup", []],
    ["with nothing but processes", ["bubblewrap", "cgroup", "setpriv", "network"]],
  ] as const)("no worker is left once the next life has looked, held %s", async (_how, avoid) => {
    await using harness = await openProcessHarness({ avoid });
    const { owner, root, taskDirectory, jobs } = harness;
    const options = {
      ...{ owner, avoid },
      taskDirectories: [taskDirectory],
      stateDirectory: join(root, "state"),
    };
    const [parent, alive] = [join(root, "parent"), join(root, "alive")];
    // It has a child that left its group and its parents.
    const counts = `n=0; while :; do n=$((n+1)); echo $n > ${alive}; sleep 0.05; done`;
    const script = `echo $PPID > ${parent}; (setsid sh -c '${counts}' &); ${ANSWER}`;
    const count = (): Promise<string> => readFile(alive, "utf8").catch(() => "");
    const killed = await liveAndDie({ process: options, jobs, script }, async () =>
      (await count()) === "" ? "not yet" : true,
    );
    // A wrapper between the two would be asked for the worker's parent: user code reads it.
    expect(Number(await readFile(parent, "utf8"))).toBe(killed.pid);

    await using next = await openProcessDriver(options, never);
    expect(await reapAll(next)).toEqual([killed.sandboxId]);
    const last = await count();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await count()).toBe(last);
    await expect(hear(killed)).rejects.toThrow();
    await next.probe(never);
    expect(await harness.remains()).toEqual([]);
  });

  test.skipIf(reason !== undefined)(`no worker's container is left (${reason ?? "docker"})`, async () => {
    await using engine = await openPrivateEngine();
    const { socketPath } = engine;
    await buildJobImage(new Docker({ socketPath }));
    await using harness = await openDockerHarness(socketPath, {}, "nobody/nothing:1");
    const ownerId = `test-${randomBytes(4).toString("hex")}`;
    const ofLife = (): DockerDriverOptions => {
      const instanceId = randomBytes(4).toString("hex");
      return { ...{ socketPath, ownerId, instanceId }, networksAhead: 0, networkRange: rangeOf(ownerId, 20) };
    };
    const { jobs } = harness;
    const killed = await liveAndDie({ docker: ofLife(), jobs, script: ANSWER }, async (endpoint) =>
      hear({ endpoint }).then(
        (text) => text !== "" || "nothing came",
        (error: unknown) => String(error),
      ),
    );
    // It outlives its daemon, and by that the next life has something to end.
    expect(await hear(killed)).toBe("word said\n");
    await using next = await openDockerDriver(ofLife(), never);
    expect(await reapAll(next)).toEqual([killed.sandboxId]);
    await expect(hear(killed)).rejects.toThrow();
    await poll("its containers and networks are gone", async () => {
      const docker = new Docker({ socketPath });
      const filters = { label: [`hearth.owner=${ownerId}`] };
      const rows = await docker.listContainers({ all: true, filters });
      const left = rows.filter(({ Labels: labels }) => labels["hearth.kind"] === "worker");
      return left.length === 0 || `still there: ${left.length}`;
    });
  });
});
