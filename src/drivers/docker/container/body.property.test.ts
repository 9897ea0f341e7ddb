import fc from "fast-check";
import { expect, test } from "vitest";
import { asId, type SandboxSpec, taskKey } from "../../../core/index.ts";
import { configuredClasses } from "../isolation/configured-class.ts";
import type { SgxParts } from "../sgx/sgx-parts.ts";
import { taskBody } from "./body.ts";
import type { NetworkPlace } from "./container-body.ts";
import { pauseBody } from "./own-body.ts";
import { planIsolation } from "./plan-isolation.ts";
import { seccompProfile } from "./seccomp.ts";

/** Every key that a body may hold, at any depth of objects. Labels and endpoints have keys of their own and are looked at apart. */
const TOP = [
  "Image",
  "Entrypoint",
  "Env",
  "Labels",
  "StopSignal",
  "Healthcheck",
  "ExposedPorts",
  "HostConfig",
  "NetworkingConfig",
];
const HOST = [
  ..."NetworkMode CapDrop SecurityOpt NanoCpus Memory MemorySwap PidsLimit Ulimits Init ReadonlyRootfs".split(
    " ",
  ),
  ..."RestartPolicy AutoRemove LogConfig PortBindings Runtime DeviceRequests Devices Mounts Dns".split(" "),
];

const anything = fc.string({ unit: "binary", maxLength: 40 });
const task = fc.record({
  image: anything,
  isolation: fc.constantFrom(...(["default", "container", "gvisor", "microVM"] as const)),
  resources: fc.record({
    cpuMillis: fc.nat({ max: 1e6 }),
    memoryBytes: fc.nat({ max: 2 ** 31 - 1 }),
    gpuCount: fc.nat({ max: 8 }),
    gpuMemoryBytes: fc.nat({ max: 2 ** 40 }),
  }),
  sgx: fc.boolean(),
  network: fc.constantFrom("default" as const, "internal" as const),
});
const spec: fc.Arbitrary<SandboxSpec> = fc
  .record({
    task,
    sandboxId: anything,
    digest: anything,
    startTimeoutMs: fc.nat(),
    gpuIds: fc.uniqueArray(fc.uuid(), { maxLength: 4 }),
  })
  .map(({ task: wanted, sandboxId, digest, startTimeoutMs, gpuIds }) => ({
    sandboxId: asId<"sandbox">(sandboxId),
    taskKey: taskKey(wanted),
    task: wanted,
    image: { digest, wasPulled: false },
    gpuIds: gpuIds.map((id) => `GPU-${id}`),
    startTimeoutMs,
  }));
const owner = fc.record({ ownerId: anything, instanceId: anything });
const own = fc.record({
  type: fc.constant("own" as const),
  networkName: fc.stringMatching(/^hearth_net_[0-9a-f]{12}$/),
  address: fc.ipV4(),
  isPublished: fc.boolean(),
  dns: fc.array(fc.ipV4(), { maxLength: 3 }),
});
const place: fc.Arbitrary<NetworkPlace> = fc.oneof(
  own,
  fc.record({ type: fc.constant("join" as const), containerId: fc.stringMatching(/^[0-9a-f]{64}$/) }),
);

const RUNTIMES = {
  default: undefined,
  process: undefined,
  container: undefined,
  gvisor: "runsc",
  microVM: "kata",
  sgx: undefined,
} as const;
const classes = configuredClasses({
  runtimes: [
    { name: "runsc", isolation: "gvisor", limits: "required" },
    { name: "kata", isolation: "microVM", limits: "required" },
  ],
});

/** What is refused for other reasons is no matter here. */
function bookable({ task: wanted }: SandboxSpec): SandboxSpec["task"] {
  return {
    ...wanted,
    sgx: wanted.sgx && (wanted.isolation === "default" || wanted.isolation === "container"),
    resources: { ...wanted.resources, cpuMillis: 100, memoryBytes: 2 ** 24, gpuCount: 0 },
  };
}

/** The operator's own words; nothing that a task says is in them. */
const SGX = { device: "/dev/sgx_enclave", aesmFolder: "/run/aesm" } as SgxParts;

test("no input yields a mount, a device, a privilege, a capability or a foreign namespace", () => {
  fc.assert(
    fc.property(spec, owner, place, fc.option(anything, { nil: undefined }), (wanted, by, at, seccomp) => {
      const plan = planIsolation(bookable(wanted), classes, [], () => SGX);
      const body = taskBody(wanted, by, at, { plan, nowMs: 0, seccomp, hasInit: true });
      expect(body.HostConfig.Runtime).toBe(RUNTIMES[wanted.task.isolation]);
      expect(TOP).toEqual(expect.arrayContaining(Object.keys(body)));
      expect(HOST).toEqual(expect.arrayContaining(Object.keys(body.HostConfig)));
      const { HostConfig: host } = body;
      expect(host.CapDrop).toEqual(["ALL"]);
      expect(host.SecurityOpt[0]).toBe("no-new-privileges");
      expect(host.SecurityOpt.slice(1)).toEqual(seccomp === undefined ? [] : [`seccomp=${seccomp}`]);
      expect(host.MemorySwap).toBe(host.Memory);
      expect(host.NetworkMode).toMatch(/^(hearth_net_[0-9a-f]{12}|container:[0-9a-f]{64})$/);
      const { gpuIds } = wanted;
      // Exactly the cards that it was given; an image that asks for all of them gets none by that.
      expect(body.Env).toEqual(["PORT=8080", `NVIDIA_VISIBLE_DEVICES=${gpuIds.join(",") || "void"}`]);
      const request = { Driver: "nvidia", DeviceIDs: gpuIds, Capabilities: [["gpu"]] };
      expect(host.DeviceRequests).toEqual(gpuIds.length === 0 ? undefined : [request]);
      expect(host.Dns).toEqual(at.type === "own" && at.dns.length > 0 ? at.dns : undefined);
      // Nothing of the host but the operator's own device and folder, and these for nobody but SGX tasks.
      const isSgx = bookable(wanted).sgx;
      expect(host.Devices).toEqual(
        isSgx
          ? [{ PathOnHost: SGX.device, PathInContainer: "/dev/sgx/enclave", CgroupPermissions: "mrw" }]
          : undefined,
      );
      const mount = { Type: "bind", Source: SGX.aesmFolder, Target: "/var/run/aesmd", ReadOnly: true };
      expect(host.Mounts).toEqual(isSgx ? [mount] : undefined);
      for (const bindings of Object.values(host.PortBindings ?? {})) {
        for (const binding of bindings) expect(binding).toEqual({ HostIp: "127.0.0.1", HostPort: "" });
      }
    }),
  );
});

test("the same holds for network sandboxes, which get no processor, memory or file of anybody", () => {
  fc.assert(
    fc.property(anything, own, (image, at) => {
      const body = pauseBody(image, {}, at, undefined);
      expect(TOP).toEqual(expect.arrayContaining(Object.keys(body)));
      expect(HOST).toEqual(expect.arrayContaining(Object.keys(body.HostConfig)));
      expect(body.HostConfig).toMatchObject({ CapDrop: ["ALL"], ReadonlyRootfs: true, PidsLimit: 4 });
    }),
  );
});

test.each(["amd64", "arm64"])(
  "our seccomp profile for %s refuses by default and never allows a way out",
  (architecture) => {
    const profile = JSON.parse(seccompProfile(architecture) ?? "") as {
      defaultAction: string;
      architectures: string[];
      syscalls: { names: string[]; action: string; args?: unknown[] }[];
    };
    expect(profile.defaultAction).toBe("SCMP_ACT_ERRNO");
    expect(profile.architectures).toHaveLength(1);
    const allowed = profile.syscalls
      .filter(({ action }) => action === "SCMP_ACT_ALLOW")
      .flatMap(({ names }) => names);
    const free = profile.syscalls
      .filter(({ action, args = [] }) => action === "SCMP_ACT_ALLOW" && args.length === 0)
      .flatMap(({ names }) => names);
    expect(new Set(free).size).toBe(free.length);
    for (const name of [
      ..."mount umount2 unshare setns pivot_root chroot init_module finit_module delete_module kexec_load bpf".split(
        " ",
      ),
      ..."perf_event_open keyctl add_key request_key userfaultfd io_uring_setup clock_settime settimeofday reboot".split(
        " ",
      ),
      ..."swapon swapoff open_by_handle_at process_vm_writev quotactl acct iopl ioperm syslog clone3".split(
        " ",
      ),
    ]) {
      expect(allowed).not.toContain(name);
    }
    for (const name of ["clone", "socket", "personality"]) expect(free).not.toContain(name);
  },
);

test("an architecture that we have no profile for keeps the engine's own", () => {
  expect(seccompProfile("riscv64")).toBeUndefined();
});
