import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { freshName } from "../support/fresh-name.ts";

const never = (): AbortSignal => new AbortController().signal;

async function probed(avoid: readonly ("cgroup" | "bubblewrap" | "setpriv" | "network")[]) {
  const folder = await mkdtemp(join(tmpdir(), "hearth-class-"));
  try {
    await using driver = await openProcessDriver(
      {
        owner: freshName("class"),
        taskDirectories: [],
        stateDirectory: folder,
        networkRange: "10.194.0.0/24",
        avoid,
      },
      never(),
    );
    const before = driver.classes();
    const [report] = await driver.probe(never());
    const left = await driver.leftovers(never());
    return { before, report, left, reach: driver.reach, capabilities: driver.capabilities };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("E8: the class process is unproven until a process in it has shown what holds, and nothing of that is left", async () => {
  const { before, report, left, reach, capabilities } = await probed([]);
  expect(before).toMatchObject([{ isolation: "process", state: "unproven" }]);
  expect(report).toMatchObject({
    state: "usable",
    sight: { hasOwnKernel: false, reachesExecutor: false, ignored: [] },
  });
  expect(capabilities.isolation).toEqual(["process"]);
  // On a busy host the CPU limit may be neither proven nor disproven.
  expect(report?.sight?.enforced).toEqual(
    expect.arrayContaining(reach.limits.filter((limit) => limit !== "cpu")),
  );
  expect(report?.sight?.hasNoNewPrivileges).toBe(reach.bubblewrap || process.getuid?.() === 0);
  expect(left).toEqual([]);
});

test("E8: limits that this host cannot set are told as ignored, and are no reason to refuse what was known", async () => {
  const { report } = await probed(["cgroup"]);
  expect(report?.state).toBe("usable");
  expect(report?.sight?.ignored).toEqual(expect.arrayContaining(["memory", "pids"]));
  expect(report?.reasons.join()).toContain("this host has no limits for it");
});

test.skipIf(process.getuid?.() !== 0)(
  "E8: without the tools that keep a setuid program down, that it gains rights is told",
  async () => {
    const { report } = await probed(["bubblewrap", "setpriv"]);
    expect(report).toMatchObject({ state: "usable", sight: { hasNoNewPrivileges: false } });
    expect(report?.reasons.join()).toContain("setuid");
  },
);
