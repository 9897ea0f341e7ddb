import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Docker from "dockerode";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { JobSandbox, SandboxDriver } from "../../src/core/index.ts";
import { MEBIBYTE } from "../../src/core/index.ts";
import type { JobOptions } from "../conformance/sandbox-driver/job-scene.ts";
import { jobSpec } from "../conformance/sandbox-driver/job-scene.ts";
import { SMALL } from "../conformance/sandbox-driver/scene.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { never, openDockerWorld } from "../support/docker-world.ts";
import { freshName } from "../support/fresh-name.ts";
import { buildJobImage, JOB_IMAGE } from "../support/images.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { GVISOR, openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const LIFE = fileURLToPath(new URL("../support/job-life.ts", import.meta.url));
/** Nobody on this host has it. */
const DAEMON_UID = 20_590;

describe.skipIf(reason !== undefined)(reason ?? "jobs in containers", () => {
  let engine: PrivateEngine;
  let docker: Docker;
  let world: DockerWorld;
  let driver: SandboxDriver;
  let shared: string;

  beforeAll(async () => {
    engine = await openPrivateEngine();
    docker = new Docker({ socketPath: engine.socketPath });
    await buildJobImage(docker);
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    shared = await mkdtemp(join(tmpdir(), "hearth-shared-"));
    world = openDockerWorld(engine.socketPath);
    driver = await world.open({ networksAhead: 1 });
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await rm(shared, { recursive: true, force: true });
  });

  const harness = (image: string) => ({
    image,
    shared: { localPath: shared, hostPath: shared },
    hasOwnView: true,
    enforcesPids: true,
    enforcesCpu: true,
  });

  async function start(
    command: readonly string[],
    options: JobOptions = {},
    asked: string = JOB_IMAGE,
  ): Promise<{ readonly job: JobSandbox; readonly folder: string }> {
    const name = freshName("job");
    const folder = join(shared, name);
    await mkdir(folder);
    for (const [path, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, path), text);
    const image = await driver.resolve(asked, { refresh: "missing" }, never());
    const job = await driver.startJob(jobSpec(harness(asked), image, name, command, options), never());
    return { job, folder };
  }

  const outputOf = async (job: JobSandbox): Promise<string> => {
    await job.ended;
    return (await job.tailLog(65_536, never())).text;
  };

  test("the image's entrypoint stays in front of the command", async () => {
    const image = await buildJobImage(docker, "hearth-test/entrance:1", [
      'ENTRYPOINT ["/bin/sh", "-c", "echo entrance: $@", "sh"]',
      'CMD ["never seen"]',
    ]);
    const { job } = await start(["python", "/scripts/sum.py"], {}, image);
    expect(await outputOf(job)).toBe("entrance: python /scripts/sum.py\n");
  });

  test("limits are what the job asked for, read from inside", async () => {
    const { job } = await start(
      [
        "sh",
        "-c",
        `cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us 2>/dev/null ||
         cat memory.max pids.max cpu.max`,
      ],
      { task: { resources: { ...SMALL, cpuMillis: 300, memoryBytes: 48 * MEBIBYTE } }, pidsLimit: 77 },
    );
    expect((await outputOf(job)).split(/\s+/).slice(0, 4)).toEqual([
      String(48 * MEBIBYTE),
      "77",
      "30000",
      "100000",
    ]);
  });

  test("3.3: its container is held as tightly as a call's, with one mount", async () => {
    const { job, folder } = await start(["sleep", "1000"], { attempt: 3 });
    const facts = await docker.getContainer(job.label).inspect();
    expect(facts.HostConfig).toMatchObject({
      AutoRemove: false,
      Binds: null,
      CapAdd: null,
      CapDrop: ["ALL"],
      Init: true,
      IpcMode: "private",
      Memory: SMALL.memoryBytes,
      MemorySwap: SMALL.memoryBytes,
      PidMode: "",
      PidsLimit: 256,
      Privileged: false,
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      LogConfig: { Type: "json-file", Config: { "max-size": "512k", "max-file": "2" } },
      Mounts: [{ Type: "bind", Source: folder, Target: "/working_dir" }],
    });
    expect(facts.HostConfig.Devices ?? []).toEqual([]);
    expect(facts.HostConfig.SecurityOpt).toContain("no-new-privileges");
    expect(facts.HostConfig.NetworkMode).toMatch(/^(container:[0-9a-f]{64}|hearth_net_\w+)$/);
    expect(facts.Mounts).toHaveLength(1);
    expect(facts.Config.WorkingDir).toBe("/working_dir");
    expect(facts.Config.Labels).toMatchObject({
      "hearth.kind": "job",
      "hearth.owner": world.ownerId,
      "hearth.sandbox": job.id,
      "hearth.job": job.mark.jobId,
      "hearth.attempt": "3",
    });
    await job.remove();
  });

  test("D11: it gains no rights, mounts nothing, and reaches neither the engine nor another job's folder", async () => {
    const { folder: other } = await start(["true"]);
    await writeFile(join(other, "secret"), "canary");
    const { job } = await start([
      "sh",
      "-c",
      `grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; mount -t tmpfs none /tmp && echo mounted;
       umount /working_dir && echo unmounted; ls /var/run/docker.sock && echo socket;
       cat /working_dir/../*/secret ../*/secret; chmod 666 /dev/mem && echo memory; exit 0`,
    ]);
    const output = await outputOf(job);
    expect(output).toMatch(/CapEff:\s0{16}/);
    expect(output).toMatch(/CapBnd:\s0{16}/);
    expect(output).toMatch(/NoNewPrivs:\s1/);
    for (const word of ["\nmounted", "\nunmounted", "\nsocket", "\nmemory", "canary"])
      expect(output).not.toContain(word);
  });

  test.each([
    ["65534:65534", undefined],
    [undefined, "1234:1234"],
  ] as const)(
    "as another user (image: %s, asked: %s) it can use what was staged and write what it likes",
    async (ofImage, asked) => {
      const image =
        ofImage === undefined
          ? JOB_IMAGE
          : await buildJobImage(docker, "hearth-test/nobody:1", [`USER ${ofImage}`]);
      const { job, folder } = await start(
        [
          "sh",
          "-c",
          "id -u; cat in.txt && echo more >> in.txt && rm old && mkdir -p output && echo x > output/x",
        ],
        { files: { "in.txt": "staged\n", old: "" }, ...(asked === undefined ? {} : { user: asked }) },
        image,
      );
      const uid = Number((asked ?? ofImage).split(":")[0]);
      expect(await outputOf(job)).toBe(`${uid}\nstaged\n`);
      expect(await job.ended).toEqual({ type: "exited", exitCode: 0 });
      expect(await readFile(join(folder, "in.txt"), "utf8")).toBe("staged\nmore\n");
      expect((await stat(join(folder, "output/x"))).uid).toBe(uid);
    },
  );

  test("as the daemon's own user nothing of its folder is opened to others", async () => {
    const { job, folder } = await start(["true"], { files: { secret: "x" } });
    await chmod(join(folder, "secret"), 0o600);
    await job.ended;
    expect((await stat(join(folder, "secret"))).mode & 0o777).toBe(0o600);
  });

  test("H4: a daemon that is not root reads and removes what a job of root has locked up", async () => {
    await chown(shared, DAEMON_UID, DAEMON_UID);
    await chmod(dirname(engine.socketPath), 0o711);
    await chmod(engine.socketPath, 0o666);
    const folder = join(shared, "locked");
    await mkdir(folder);
    await chown(folder, DAEMON_UID, DAEMON_UID);
    const life = {
      docker: {
        socketPath: engine.socketPath,
        ownerId: world.ownerId,
        instanceId: freshName("life"),
        networksAhead: 1,
        networkRange: "10.221.0.0/16",
      },
      jobs: harness(JOB_IMAGE),
      folder: "locked",
      script: `umask 077; id -u; mkdir -p output/deep; echo result > output/deep/out; ln -s /etc/shadow output/link;
               chmod 000 output/deep/out; chmod 500 output/deep output; exit 2`,
      result: "output/deep/out",
    };
    const child = spawn(
      "/usr/bin/setpriv",
      [
        ...[`--reuid=${DAEMON_UID}`, `--regid=${DAEMON_UID}`, "--clear-groups", "--inh-caps=-all"],
        ...["--bounding-set=-all", "--no-new-privs", "--"],
        ...[process.execPath, "--import", "tsx", LIFE, JSON.stringify(life)],
      ],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, TMPDIR: "/tmp", HOME: "/tmp" } },
    );
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
    });
    const [code] = (await once(child, "close")) as [number | null];
    expect(code).toBe(0);
    expect(JSON.parse(said.trim().split("\n").at(-1) ?? "")).toEqual({
      end: { type: "exited", exitCode: 2 },
      result: "result\n",
    });
    await expect(stat(folder)).rejects.toMatchObject({ code: "ENOENT" });
    const helpers = (await world.remains()).filter((name) => name.startsWith("hearth_helper_"));
    expect(helpers).toEqual([]);
  });
});

const noGvisor = reason ?? (existsSync(GVISOR.path) ? undefined : "runsc is not installed");

// Without KVM and cgroups, as here, it enforces no limits: the class is used with its operator's consent.
describe.skipIf(noGvisor !== undefined)(noGvisor ?? "a job in a stronger class", () => {
  test("runs in that class's runtime, writes to its folder, and is told with its end", async () => {
    await using engine = await openPrivateEngine({ runtimes: { runsc: GVISOR } });
    await buildJobImage(new Docker({ socketPath: engine.socketPath }));
    await using world = openDockerWorld(engine.socketPath);
    const driver = await world.open({
      networksAhead: 1,
      runtimes: [{ name: "runsc", isolation: "gvisor", limits: "optional" }],
    });
    const shared = await mkdtemp(join(tmpdir(), "hearth-shared-"));
    await mkdir(join(shared, "one"));
    const jobs = {
      image: JOB_IMAGE,
      shared: { localPath: shared, hostPath: shared },
      hasOwnView: true,
      enforcesPids: false,
      enforcesCpu: false,
    };
    const image = await driver.resolve(JOB_IMAGE, { refresh: "missing" }, never());
    const spec = jobSpec(jobs, image, "one", ["sh", "-c", "cat /proc/version; echo out > out; exit 3"], {
      task: { isolation: "gvisor" },
    });
    const job = await driver.startJob(spec, never());
    expect(job.isolation).toBe("gvisor");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 3 });
    const own = await readFile("/proc/version", "utf8");
    expect((await job.tailLog(4096, never())).text).not.toContain(own.trim());
    expect(await readFile(join(shared, "one/out"), "utf8")).toBe("out\n");
    await job.remove();
    await rm(shared, { recursive: true });
  });
});
