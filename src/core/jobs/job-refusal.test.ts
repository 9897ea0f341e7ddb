import { expect, test } from "vitest";
import { jobRefusal } from "./job-refusal.ts";

const GOOD = {
  task: {
    image: "solver",
    isolation: "default",
    resources: { cpuMillis: 1000, memoryBytes: 2 ** 27, gpuCount: 0, gpuMemoryBytes: 0 },
    sgx: false,
    network: "default",
  },
  command: ["python", "/scripts/sum.py"],
  environment: { A: "1" },
  workDir: { localPath: "/srv/work/k2p9", hostPath: "/mnt/shared/k2p9", target: "/working_dir" },
  user: undefined,
  pidsLimit: undefined,
} as const;

type Changes = Parameters<typeof jobRefusal>[0];
const reasonOf = (changes: Partial<Changes>): unknown => jobRefusal({ ...GOOD, ...changes })?.facts["reason"];

test("a job as the contract has it is fine, under two names of its folder as well", () => {
  expect(jobRefusal(GOOD)).toBeUndefined();
  expect(reasonOf({ user: "1000:users", pidsLimit: 1 })).toBeUndefined();
  expect(reasonOf({ workDir: { ...GOOD.workDir, target: "/home/runner/work" } })).toBeUndefined();
});

test.each([
  ["its command names no program", { command: [] }],
  ["holds a NUL character", { command: ["a", "\0"] }],
  ["cannot be the name of a variable", { environment: { "-i": "" } }],
  ["is no folder for one job", { workDir: { ...GOOD.workDir, localPath: "/srv/work/other" } }],
  ["is no folder for one job", { workDir: { ...GOOD.workDir, localPath: "/x", hostPath: "/" } }],
  ["a work folder cannot be seen at", { workDir: { ...GOOD.workDir, target: "/scripts" } }],
  ["is no user and group", { user: "" }],
  ["is no user and group", { user: "-1" }],
  ["pids must be between", { pidsLimit: 1.5 }],
  ["no SGX", { task: { ...GOOD.task, sgx: true } }],
] as const)("%s: told before anything is made", (reason, changes) => {
  expect(reasonOf(changes)).toContain(reason);
});
