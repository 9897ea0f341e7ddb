import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { JobSandbox, SandboxDriver } from "../../src/core/index.ts";
import type { JobHarness } from "../conformance/sandbox-driver/harness.ts";
import { jobSpec } from "../conformance/sandbox-driver/job-scene.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { never, openDockerWorld } from "../support/docker-world.ts";
import type { EngineProxy, Fate, ProxiedCall } from "../support/engine-proxy.ts";
import { openEngineProxy, PASS } from "../support/engine-proxy.ts";
import { freshName } from "../support/fresh-name.ts";
import { buildJobImage, JOB_IMAGE } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const WAITS = "until [ -e go ]; do sleep 0.05; done";

describe.skipIf(reason !== undefined)(reason ?? "jobs and faults of their engine", () => {
  let engine: PrivateEngine;
  let proxy: EngineProxy;
  let world: DockerWorld;
  let driver: SandboxDriver;
  let shared: string;

  beforeAll(async () => {
    engine = await openPrivateEngine({ liveRestore: true });
    await buildJobImage(new Docker({ socketPath: engine.socketPath }));
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    shared = await mkdtemp(join(tmpdir(), "hearth-shared-"));
    proxy = await openEngineProxy(engine.socketPath);
    world = openDockerWorld(engine.socketPath);
    driver = await world.open({ socketPath: proxy.socketPath, networksAhead: 1 });
  });
  afterEach(async () => {
    proxy.decide = () => PASS;
    await world[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await rm(shared, { recursive: true, force: true });
  });

  async function start(
    script: string,
    by: SandboxDriver = driver,
    signal: AbortSignal = never(),
  ): Promise<{ readonly job: JobSandbox; readonly folder: string }> {
    const name = freshName("job");
    await mkdir(join(shared, name));
    const image = await by.resolve(JOB_IMAGE, { refresh: "missing" }, never());
    const folders = { localPath: shared, hostPath: shared };
    const harness: JobHarness = {
      image: JOB_IMAGE,
      shared: folders,
      hasOwnView: true,
      enforcesPids: true,
      enforcesCpu: true,
    };
    const spec = jobSpec(harness, image, name, ["sh", "-c", script]);
    return { job: await by.startJob(spec, signal), folder: spec.workDir.localPath };
  }

  /** Waits until no job's container is left; networks go when the driver is quiet. */
  const untilNoJob = (): Promise<void> =>
    poll("no job is left", async () => {
      const left = (await world.remains()).filter((name) => name.startsWith("hearth_job_"));
      return left.length === 0 ? true : left.join(", ");
    });

  const untilFile = (path: string): Promise<void> =>
    poll(`${path} is there`, async () =>
      readFile(path).then(
        () => true as const,
        () => "not yet",
      ),
    );

  test.each(["stop", "kill"] as const)(
    "C1: an engine that is away (%s) and keeps what it runs: the job goes on, and its end is learnt when it is back",
    async (how) => {
      const ending = await start(`echo hello; ${WAITS}; echo > over; exit 5`);
      const lasting = await start(
        `n=0; while [ ! -e go ]; do n=$((n+1)); echo $n > alive; sleep 0.05; done; exit 6`,
      );
      await untilFile(join(lasting.folder, "alive"));
      await engine[how]();
      await writeFile(join(ending.folder, "go"), "");
      await untilFile(join(ending.folder, "over"));
      expect(await ending.job.tailLog(100, never()).catch((error: unknown) => error)).toMatchObject({
        code: "ENGINE_UNAVAILABLE",
      });
      const before = await readFile(join(lasting.folder, "alive"), "utf8");
      await poll("the other goes on", async () =>
        (await readFile(join(lasting.folder, "alive"), "utf8")) !== before ? true : before,
      );
      await expect(lasting.job.end(0)).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE" });
      await engine.start();
      expect(await ending.job.ended).toEqual({ type: "exited", exitCode: 5 });
      expect((await ending.job.tailLog(100, never())).text).toBe("hello\n");
      await writeFile(join(lasting.folder, "go"), "");
      // What should have ended it never reached it.
      expect(await lasting.job.ended).toEqual({ type: "exited", exitCode: 6 });
      await Promise.all([ending.job.remove(), lasting.job.remove()]);
      await untilNoJob();
    },
    240_000,
  );

  test("C4: the answer to the signal that ends it is lost: it has been ended by us", async () => {
    const { job } = await start("sleep 1000");
    proxy.decide = ({ path }) => (path.includes("/kill?") ? { type: "loseReply" } : PASS);
    await expect(job.end(0)).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE" });
    expect(await job.ended).toEqual({ type: "stopped" });
    await job.remove();
    await untilNoJob();
  });

  test.each([
    ["kills itself", `${WAITS}; kill -9 $$`, { type: "signalled", signal: "SIGKILL" }],
    [
      "ends with a code that engines use, too",
      `${WAITS}; exit 143`,
      { type: "signalled", signal: "SIGTERM" },
    ],
    ["ends with the last code", `${WAITS}; exit 255`, { type: "exited", exitCode: 255 }],
  ])("I12: a job that %s while nobody looks: its next life knows why", async (_what, script, end) => {
    const { job, folder } = await start(`echo > begun; ${script}`);
    await untilFile(join(folder, "begun"));
    await driver[Symbol.asyncDispose]();
    await writeFile(join(folder, "go"), "");
    const container = new Docker({ socketPath: engine.socketPath }).getContainer(job.label);
    await poll("it has ended", async () => !(await container.inspect()).State.Running || "it runs");
    driver = await world.open({ socketPath: proxy.socketPath, networksAhead: 1 });
    const left = (await driver.jobLeftovers(never())).find(({ mark }) => mark?.jobId === job.mark.jobId);
    const adopted = await left?.adopt(never());
    expect(await adopted?.ended).toEqual(end);
    await adopted?.remove();
    await untilNoJob();
  });

  test("C1: whoever follows a job's output misses nothing when its engine is away for a while", async () => {
    const silent = await start("until [ -e on ]; do sleep 0.05; done; echo late");
    let heard = "";
    const listens = (async () => {
      for await (const { text } of silent.job.followLog(100, never())) heard += text;
    })();
    const { job, folder } = await start(
      `echo one; echo two; ${WAITS}; echo three; until [ -e on ]; do sleep 0.05; done; echo four`,
    );
    let seen = "";
    const follows = (async () => {
      for await (const { text } of job.followLog(65_536, never())) seen += text;
    })();
    await poll("the first lines", async () => seen === "one\ntwo\n" || seen);
    await engine.stop();
    await writeFile(join(folder, "go"), "");
    await engine.start();
    await poll("what it printed meanwhile", async () => seen === "one\ntwo\nthree\n" || seen);
    await writeFile(join(folder, "on"), "");
    await writeFile(join(silent.folder, "on"), "");
    await job.ended;
    await Promise.all([follows, listens]);
    expect(heard).toBe("late\n");
    await silent.job.remove();
    expect(seen).toBe("one\ntwo\nthree\nfour\n");
    await job.remove();
  });

  test("C2: an engine that takes what it runs with it: the job is lost, not failed", async () => {
    await using fragile = await openPrivateEngine();
    await buildJobImage(new Docker({ socketPath: fragile.socketPath }));
    await using other = openDockerWorld(fragile.socketPath);
    const { job } = await start("trap 'exit 1' TERM; while :; do sleep 0.05; done", await other.open());
    const untouched = await start("sleep 1000", await other.open());
    await fragile.kill();
    await fragile.start();
    expect(await untouched.job.ended).toEqual({ type: "lost" });
    // One that hears the engine's own request may end as it likes.
    expect((await job.ended).type).toMatch(/^(lost|exited)$/);
    await job.remove();
    await untouched.job.remove();
  }, 300_000);

  test("an end during a break in the stream of events is noticed afterwards", async () => {
    const { job, folder } = await start(`${WAITS}; exit 3`);
    let isCut = true;
    proxy.decide = (call) => (isCut && call.path.startsWith("/events") ? answer(500) : PASS);
    proxy.cut((call) => call.path.startsWith("/events"));
    await writeFile(join(folder, "go"), "");
    await poll("it has ended", async () => {
      const { State } = await world.docker.getContainer(job.label).inspect();
      return !State.Running || State.Status;
    });
    isCut = false;
    expect(await job.ended).toEqual({ type: "exited", exitCode: 3 });
    await job.remove();
  });

  test("C7: a job that somebody else removes is lost", async () => {
    const { job, folder } = await start("echo kept > kept; sleep 1000");
    await untilFile(join(folder, "kept"));
    await world.docker.getContainer(job.label).remove({ force: true });
    expect(await job.ended).toEqual({ type: "lost" });
    await job.end(1000);
    await job.remove();
    expect(await readFile(join(folder, "kept"), "utf8")).toBe("kept\n");
  });

  const verbs = [
    ["create", ({ method, path }: ProxiedCall) => method === "POST" && path.includes("/containers/create")],
    [
      "start",
      ({ method, path }: ProxiedCall) => method === "POST" && /\/containers\/[^/]+\/start/.test(path),
    ],
  ] as const;

  test.each(verbs)(
    "C4: an engine that fails at %s: the start is refused and nothing is left",
    async (_, isIt) => {
      proxy.decide = (call) => (isIt(call) && !isPause(call) ? answer(500) : PASS);
      await expect(start("sleep 1000")).rejects.toMatchObject({
        code: expect.stringMatching(/^(ENGINE_FAILED|SANDBOX_START_FAILED)$/) as string,
      });
      proxy.decide = () => PASS;
      await untilNoJob();
    },
  );

  test.each(verbs)(
    "the caller gives up during %s: it is told at once, and nothing is left",
    async (_, isIt) => {
      const gone = new AbortController();
      const cause = new Error("gone");
      proxy.decide = async (call) => {
        if (!isIt(call) || isPause(call)) return PASS;
        gone.abort(cause);
        await driver.health(never());
        return PASS;
      };
      await expect(start("sleep 1000", driver, gone.signal)).rejects.toBe(cause);
      await untilNoJob();
    },
  );

  test("C4: a short job that has ended when the answer to its start gets lost runs once", async () => {
    let id: string | undefined;
    const isIts = ({ path }: ProxiedCall): boolean => path.startsWith(`/containers/${id}/start`);
    proxy.decide = async ({ path }) => {
      const started = /^\/containers\/([^/]+)\/start/.exec(path)?.[1];
      if (started === undefined || id !== undefined) return PASS;
      const { Name } = await world.docker.getContainer(started).inspect();
      if (!Name.startsWith("/hearth_job_")) return PASS;
      id = started;
      return { type: "loseReply" };
    };
    const starting = start("echo ran >> runs; exit 4");
    starting.catch(() => undefined); // told below
    await poll("it has ended", async () => {
      if (id === undefined) return "it was not started";
      const { Status } = (await world.docker.getContainer(id).inspect()).State;
      return Status === "exited" || Status;
    });
    proxy.cut(isIts);
    const { job, folder } = await starting;
    expect(await job.ended).toEqual({ type: "exited", exitCode: 4 });
    expect(proxy.calls.filter(isIts)).toHaveLength(1);
    expect(await readFile(join(folder, "runs"), "utf8")).toBe("ran\n");
    await job.remove();
    await untilNoJob();
  });

  test("C13: a removal that fails three times is tried again until the container is gone", async () => {
    const { job } = await start("sleep 1000");
    let failures = 0;
    proxy.decide = (call) => {
      if (call.method !== "DELETE" || failures === 3) return PASS;
      failures += 1;
      return answer(failures === 1 ? 500 : 409, "removal of container is already in progress");
    };
    await job.remove();
    expect(failures).toBe(3);
    expect(await job.ended).toEqual({ type: "stopped" });
    await untilNoJob();
  });
});

function answer(status: number, message = "the engine is out of order"): Fate {
  return { type: "answer", status, body: JSON.stringify({ message }) };
}

/** Network sandboxes are made behind a test's back: faults are for the job's own calls. */
function isPause({ path }: ProxiedCall): boolean {
  return path.includes("name=hearth_net_");
}
