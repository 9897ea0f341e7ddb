import fc from "fast-check";
import { expect, test } from "vitest";
import type { JobSandboxSpec } from "../../../core/index.ts";
import { asId, ExecutorError } from "../../../core/index.ts";
import { jobBody, taskBody } from "./body.ts";
import { PIDS_LIMIT } from "./container-body.ts";
import { helperBody } from "./own-body.ts";

/** Every key that a job's body may hold. */
const TOP = "Image Cmd WorkingDir User Env Labels Healthcheck ExposedPorts HostConfig NetworkingConfig".split(
  " ",
);
const HOST = [
  ..."NetworkMode CapDrop SecurityOpt NanoCpus Memory MemorySwap PidsLimit Ulimits Init ReadonlyRootfs".split(
    " ",
  ),
  ..."RestartPolicy AutoRemove LogConfig Runtime DeviceRequests Mounts Dns".split(" "),
];

const anything = fc.string({ unit: "binary", maxLength: 40 });
/** What paths are made of, good and bad. */
const path = fc.oneof(
  anything,
  fc
    .array(fc.constantFrom("/", "..", ".", "srv", "work", "etc", "k2p9", ":", ",", "\0", "-rf", " "), {
      maxLength: 8,
    })
    .map((parts) => parts.join("")),
  fc
    .array(fc.constantFrom("srv", "work", "..", "", "etc", "k2p9"), { maxLength: 5 })
    .map((parts) => `/${parts.join("/")}`),
);
const pathOfName = fc.constantFrom("/srv/work/k2p9", "/k2p9", "/var/run/docker.sock", "/", "/srv/../k2p9");
/** Mostly as it should be, so that what is made is looked at as well as what is refused. */
const mostly = <T>(good: T, odd: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: odd });
const spec: fc.Arbitrary<JobSandboxSpec> = fc
  .record({
    image: anything,
    digest: anything,
    sandboxId: anything,
    jobId: anything,
    attempt: fc.integer(),
    gpuIds: fc.uniqueArray(fc.uuid(), { maxLength: 3 }),
    command: mostly(["python", "-c", "$(id)"], fc.array(anything, { maxLength: 4 })),
    environment: mostly<Record<string, string>>(
      { A: "1", NVIDIA_VISIBLE_DEVICES: "all" },
      fc.dictionary(anything, anything, { maxKeys: 4 }),
    ),
    workDir: fc.record({
      localPath: mostly("/srv/work/k2p9", fc.oneof(path, pathOfName)),
      hostPath: mostly("/mnt/shared/k2p9", fc.oneof(path, pathOfName)),
      target: mostly("/working_dir", fc.oneof(path, fc.constantFrom("/proc", "/var/run/docker.sock"))),
    }),
    user: mostly<string | undefined>(undefined, fc.oneof(anything, fc.constantFrom("nobody", "1000:1000"))),
    pidsLimit: mostly<number | undefined>(undefined, fc.integer({ max: 1000 })),
    sgx: mostly(false, fc.boolean()),
  })
  .map(({ image, digest, sandboxId, jobId, attempt, gpuIds, sgx, ...rest }) => ({
    ...rest,
    sandboxId: asId<"sandbox">(sandboxId),
    mark: { jobId, attempt },
    image: { digest, wasPulled: false },
    gpuIds: gpuIds.map((id) => `GPU-${id}`),
    task: {
      image,
      isolation: "default",
      resources: { cpuMillis: 100, memoryBytes: 2 ** 24, gpuCount: gpuIds.length, gpuMemoryBytes: 0 },
      sgx,
      network: "default",
    },
  }));

const OWNER = { ownerId: "o", instanceId: "i" };
const PLACE = {
  type: "own",
  networkName: "hearth_net_0123456789ab",
  address: "10.1.2.3",
  isPublished: false,
  dns: [],
} as const;
const OPTIONS = {
  plan: { isolation: "container", runtime: undefined },
  nowMs: 0,
  seccomp: undefined,
  hasInit: true,
} as const;

/** A plain path whose last part names one job, and nothing above the root. */
const PLAIN = /^(\/[^/\0]+)*\/[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

test("no job's request yields more than one mount, of its own folder, nor a device, a privilege, a capability or a namespace", () => {
  let made = 0;
  fc.assert(
    fc.property(spec, (wanted) => {
      const body = attempt(() => jobBody(wanted, OWNER, PLACE, OPTIONS));
      if (body instanceof ExecutorError) {
        expect(body.code).toBe("SANDBOX_START_FAILED");
        return;
      }
      made += 1;
      expect(TOP).toEqual(expect.arrayContaining(Object.keys(body)));
      expect(HOST).toEqual(expect.arrayContaining(Object.keys(body.HostConfig)));
      const { HostConfig: host } = body;
      const { localPath, hostPath, target } = wanted.workDir;
      expect(host.Mounts).toEqual([{ Type: "bind", Source: hostPath, Target: target, ReadOnly: false }]);
      expect(hostPath).toMatch(PLAIN);
      expect(hostPath.split("/")).not.toContain("..");
      expect(hostPath.split("/").at(-1)).toBe(localPath.split("/").at(-1));
      expect(target).toMatch(/^\/[^\0]+$/);
      expect(target).not.toMatch(/^\/(proc|sys|dev|etc|usr|bin|lib|run|var)(\/|$)|\/\.{0,2}(\/|$)/);
      expect(body.WorkingDir).toBe(target);
      expect(body.Cmd).toBe(wanted.command);
      expect(body.User).toBe(wanted.user);
      expect(host.CapDrop).toEqual(["ALL"]);
      expect(host.SecurityOpt).toEqual(["no-new-privileges"]);
      expect(host.MemorySwap).toBe(host.Memory);
      expect(host.PidsLimit).toBe(wanted.pidsLimit ?? PIDS_LIMIT);
      expect(host.NetworkMode).toBe(PLACE.networkName);
      const { gpuIds } = wanted;
      const request = { Driver: "nvidia", DeviceIDs: gpuIds, Capabilities: [["gpu"]] };
      expect(host.DeviceRequests).toEqual(gpuIds.length === 0 ? undefined : [request]);
      const cards = body.Env.filter((line) => line.startsWith("NVIDIA_VISIBLE_DEVICES="));
      expect(cards).toEqual([`NVIDIA_VISIBLE_DEVICES=${wanted.gpuIds.join(",") || "void"}`]);
    }),
    { numRuns: 4000 },
  );
  expect(made).toBeGreaterThan(200);
});

test("a job is held to all that a call's task is held to", () => {
  const task = { ...sample(), sgx: false };
  const called = taskBody(
    {
      sandboxId: asId<"sandbox">("s"),
      taskKey: asId<"taskKey">("k"),
      task,
      image: { digest: "sha256:0", wasPulled: false },
      gpuIds: [],
      startTimeoutMs: 1,
    },
    OWNER,
    PLACE,
    OPTIONS,
  );
  const job = jobBody(
    {
      sandboxId: asId<"sandbox">("s"),
      mark: { jobId: "j", attempt: 1 },
      task,
      image: { digest: "sha256:0", wasPulled: false },
      gpuIds: [],
      command: ["true"],
      environment: {},
      workDir: { localPath: "/srv/work/j", hostPath: "/srv/work/j", target: "/working_dir" },
      user: undefined,
      pidsLimit: undefined,
    },
    OWNER,
    PLACE,
    OPTIONS,
  );
  const { Mounts: _, ...host } = job.HostConfig;
  expect(host).toEqual(called.HostConfig);
  expect(job).not.toHaveProperty("Entrypoint");
  expect(job).not.toHaveProperty("User");
});

test("only a helper of ours gets a capability, the one, and only to write", () => {
  const wish = { image: "hearth/unlock:1", command: ["/unlock", "/work"], hostPath: "/srv/work/j" };
  const writing = helperBody({ ...wish, mayWrite: true }, {}, undefined).HostConfig;
  expect(writing).toMatchObject({ CapDrop: ["ALL"], CapAdd: ["FOWNER"], NetworkMode: "none" });
  const looking = helperBody({ ...wish, mayWrite: false }, {}, undefined).HostConfig;
  expect(looking).not.toHaveProperty("CapAdd");
  expect(looking.Mounts).toMatchObject([{ ReadOnly: true }]);
});

function sample() {
  return {
    image: "x",
    isolation: "default",
    resources: { cpuMillis: 500, memoryBytes: 2 ** 26, gpuCount: 0, gpuMemoryBytes: 0 },
    network: "default",
  } as const;
}

function attempt<T>(make: () => T): T | ExecutorError {
  try {
    return make();
  } catch (error) {
    if (error instanceof ExecutorError) return error;
    throw error;
  }
}
