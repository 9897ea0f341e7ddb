import { expect, test } from "vitest";
import type { WorkerSpec } from "../../../core/index.ts";
import { asId } from "../../../core/index.ts";
import { RAISED_ULIMITS } from "../worker/worker-limits.ts";
import { workerBody } from "./body.ts";
import { LABEL } from "./labels.ts";

const OWNER = { ownerId: "owner", instanceId: "life" };
const PLACE = { type: "join", containerId: "pause" } as const;
const OPTIONS = {
  plan: { isolation: "container", runtime: undefined },
  nowMs: 0,
  seccomp: undefined,
  hasInit: true,
} as const;

function spec(changes: Partial<WorkerSpec> = {}): Parameters<typeof workerBody>[0] {
  return {
    sandboxId: asId<"sandbox">("s1"),
    mark: { jobId: "c1", attempt: 1 },
    purpose: "function",
    task: {
      image: "functions:1",
      isolation: "default",
      resources: { cpuMillis: 1000, memoryBytes: 2 ** 28, gpuCount: 0, gpuMemoryBytes: 0 },
      sgx: false,
      network: "default",
    },
    gpuIds: [],
    command: (listen) => ["function-executor", "--address", listen],
    environment: { A: "1", NVIDIA_VISIBLE_DEVICES: "all" },
    binds: [],
    labels: {},
    user: undefined,
    pidsLimit: undefined,
    ...changes,
    image: { digest: "sha256:1", wasPulled: false },
  };
}

test("its command stands in the place of the image's, with where it is to listen", () => {
  const body = workerBody(spec(), OWNER, PLACE, OPTIONS, RAISED_ULIMITS);
  expect(body.Entrypoint).toEqual(["function-executor", "--address", "0.0.0.0:8080"]);
  expect(body).not.toHaveProperty("Cmd");
});

test("without a command it starts what its image would", () => {
  const body = workerBody(spec({ command: () => [] }), OWNER, PLACE, OPTIONS, RAISED_ULIMITS);
  expect(body).not.toHaveProperty("Entrypoint");
});

test("one without cards has no word of NVIDIA's, not even the image's own; one with cards has those", () => {
  expect(workerBody(spec(), OWNER, PLACE, OPTIONS, RAISED_ULIMITS).Env).toEqual([
    "A=1",
    "NVIDIA_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES=",
  ]);
  const body = workerBody(spec({ gpuIds: ["GPU-1"] }), OWNER, PLACE, OPTIONS, RAISED_ULIMITS);
  expect(body.Env).toEqual(["A=1", "NVIDIA_VISIBLE_DEVICES=GPU-1"]);
  expect(body.HostConfig.DeviceRequests).toMatchObject([{ DeviceIDs: ["GPU-1"] }]);
});

test("no label of the door's stands in the place of ours", () => {
  const labels = { [LABEL.OWNER]: "stranger", [LABEL.KIND]: "job", namespace: "default" };
  const body = workerBody(spec({ labels }), OWNER, PLACE, OPTIONS, RAISED_ULIMITS);
  expect(body.Labels).toMatchObject({
    [LABEL.OWNER]: "owner",
    [LABEL.KIND]: "worker",
    namespace: "default",
  });
});

test("it is hardened as a task is, within its memory and without a capability", () => {
  const binds = [{ source: "/data", target: "/data", isReadOnly: true }];
  const { HostConfig: host } = workerBody(spec({ binds }), OWNER, PLACE, OPTIONS, RAISED_ULIMITS);
  expect(host).toMatchObject({
    CapDrop: ["ALL"],
    Memory: 2 ** 28,
    MemorySwap: 2 ** 28,
    Mounts: [{ Type: "bind", Source: "/data", Target: "/data", ReadOnly: true }],
    NetworkMode: "container:pause",
  });
  expect(host.SecurityOpt).toContain("no-new-privileges");
  expect(host).not.toHaveProperty("CapAdd");
});
