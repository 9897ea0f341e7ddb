import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessDriver, ProcessDriverOptions } from "../../src/drivers/process/index.ts";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import { NAMESPACES_FOLDER, NetworkNames } from "../../src/drivers/process/network/names.ts";
import type { BehaviourImages, SandboxDriverHarness } from "../conformance/sandbox-driver/harness.ts";
import { freshName } from "./fresh-name.ts";
import { poll } from "./poll.ts";
import { recordedSandboxes } from "./recorded-sandboxes.ts";

const BEHAVIOURS: readonly (keyof BehaviourImages)[] = [
  "echo",
  "slowStart",
  "latePort",
  "noPort",
  "exitsAtStart",
  "crashes",
  "ignoresTerm",
  "markSplit",
  "markOnStderr",
  "noMark",
  "floods",
  "eatsMemory",
  "talks",
];

export interface ProcessHarness extends SandboxDriverHarness {
  readonly driver: ProcessDriver;
  readonly owner: string;
  readonly root: string;
  readonly taskDirectory: string;
  addTask(name: string, task: object, files?: Readonly<Record<string, string>>): Promise<string>;
}

/** A process driver over a folder of small programs, with an owner and a state directory of its own. */
export async function openProcessHarness(
  further: Partial<ProcessDriverOptions> = {},
): Promise<ProcessHarness> {
  const never = new AbortController().signal;
  const root = await mkdtemp(join(tmpdir(), "hearth-process-"));
  // Tasks run under other uids.
  await chmod(root, 0o755);
  const taskDirectory = join(root, "tasks");
  const shared = join(root, "work");
  await mkdir(shared);
  const owner = freshName("test");
  const options = {
    owner,
    taskDirectories: [taskDirectory],
    stateDirectory: join(root, "state"),
    ...further,
  };
  const driver = await openProcessDriver(options, never);
  // What its own test of its class makes is none of a test's.
  await poll("its class is proven", async () => {
    const made = await remains(owner, join(root, "state"));
    const isProven = driver.classes().every(({ state }) => state !== "unproven");
    // A test that could not be carried out is not begun again by itself.
    if (!isProven) await driver.probe(never);
    return (isProven && made.length === 0) || made.join();
  });
  const harness: ProcessHarness = {
    driver,
    owner,
    root,
    taskDirectory,
    images: {
      ...Object.fromEntries(BEHAVIOURS.map((name) => [name, `test/${name}`])),
      unusable: "test/unusable",
      changing: "test/changing",
    },
    jobs: {
      image: "test/jobs",
      shared: { localPath: shared, hostPath: shared },
      hasOwnView: driver.reach.bubblewrap,
      enforcesPids: driver.reach.limits.includes("pids"),
      enforcesCpu: driver.reach.limits.includes("cpu"),
    },
    unknownImage: "test/nobody-made-this",
    enforcesMemory: driver.reach.limits.includes("memory"),
    hasGpus: false,
    hasSgx: false,
    addTask,
    remains: () => remains(owner, join(root, "state")),
    async changeContent() {
      await writeFile(join(taskDirectory, "changing", "more.txt"), freshName("content"));
    },
    async killFromOutside(sandbox) {
      process.kill(Number(sandbox.label.split(" ")[1]), "SIGKILL");
    },
    async reopen(meanwhile) {
      await driver[Symbol.asyncDispose]();
      await meanwhile?.();
      return await openProcessDriver(options, never);
    },
    async openStranger() {
      return await openProcessDriver({ ...options, owner: freshName("stranger") }, never);
    },
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };

  async function addTask(
    name: string,
    task: object,
    files: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const folder = join(taskDirectory, name);
    await mkdir(folder, { recursive: true });
    await cp(new URL("tasks/behave.mjs", import.meta.url), join(folder, "behave.mjs"));
    await writeFile(join(folder, "task.json"), JSON.stringify({ id: `test/${name}`, ...task }));
    for (const [file, text] of Object.entries(files))
      await writeFile(join(folder, file), text, { mode: 0o755 });
    return `test/${name}`;
  }

  for (const name of BEHAVIOURS) await addTask(name, { command: ["node", "behave.mjs", name] });
  await addTask("changing", { command: ["node", "behave.mjs", "echo"] });
  await addTask("jobs", { mode: "job" });
  await addTask("unusable", { command: ["./no-such-program"] });
  return harness;
}

/** Every trace of the owner: networks, cgroups, records, homes, and processes that run in its cgroups. */
async function remains(owner: string, state: string): Promise<readonly string[]> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  const roots = mounts.filter((line) => / - cgroup2? /.test(line)).map((line) => line.split(" ")[4] ?? "");
  const places = [...roots.map((path) => join(path, "hearth", owner)), join(state, "homes", owner)];
  const found = [...(await recordedSandboxes(join(state, "sandboxes")))];
  const names = new NetworkNames(owner);
  for (const place of [NAMESPACES_FOLDER, "/sys/class/net"]) {
    const entries = await readdir(place).catch(() => []);
    found.push(...entries.filter((name) => names.indexOf(name) !== undefined));
  }
  for (const place of places) {
    const entries = await readdir(place, { withFileTypes: true }).catch(() => []);
    // A cgroup directory always holds the kernel's own files; ours are the directories.
    const ours = entries.filter((entry) => entry.isDirectory() || place.startsWith(state));
    found.push(...ours.map((entry) => join(place, entry.name)));
  }
  return found;
}
