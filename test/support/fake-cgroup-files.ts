import type { ControlFiles } from "../../src/drivers/process/cgroup/control-files.ts";

/** What the kernel puts into a new cgroup v2 directory, as far as the driver touches it. */
const NEW_GROUP: Readonly<Record<string, string>> = {
  "cgroup.procs": "",
  "cgroup.controllers": "",
  "cgroup.subtree_control": "",
  "cgroup.freeze": "0\n",
  "cgroup.kill": "",
  "cgroup.events": "populated 0\nfrozen 0\n",
};
const OF_CONTROLLER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cpu: { "cpu.max": "max 100000\n", "cpu.stat": "usage_usec 0\n" },
  memory: {
    "memory.max": "max\n",
    "memory.swap.max": "max\n",
    "memory.oom.group": "0\n",
    "memory.current": "0\n",
    "memory.peak": "0\n",
    "memory.events": "oom 0\noom_kill 0\n",
    "memory.stat": "inactive_file 0\n",
  },
  pids: { "pids.max": "max\n" },
};

/** A cgroup v2 file system in memory that keeps the two rules that bite: controllers are handed down, and processes live in leaves. */
export class FakeCgroup2 implements ControlFiles {
  readonly files = new Map<string, string>();
  readonly writes: string[] = [];
  readonly #root: string;

  constructor(root: string, controllers = "cpu memory pids") {
    this.#root = root;
    this.#make(root, controllers);
  }

  read(path: string): string | undefined {
    return this.files.get(path);
  }

  write(path: string, text: string): void {
    if (!this.files.has(path)) throw Object.assign(new Error(`ENOENT ${path}`), { code: "ENOENT" });
    const directory = path.slice(0, path.lastIndexOf("/"));
    const name = path.slice(directory.length + 1);
    if (name === "cgroup.subtree_control") this.#handDown(directory, text);
    else if (name === "cgroup.procs") this.#move(directory, text);
    else this.files.set(path, text);
    this.writes.push(`${path.slice(this.#root.length)} = ${text}`);
  }

  makeDirectory(path: string): void {
    if (!path.startsWith(this.#root)) throw new Error("EACCES");
    if (this.files.has(`${path}/cgroup.procs`)) return;
    const parent = path.slice(0, path.lastIndexOf("/"));
    this.makeDirectory(parent);
    this.#make(path, this.files.get(`${parent}/cgroup.subtree_control`) ?? "");
  }

  removeDirectory(path: string): boolean {
    if (this.directories(path).length > 0 || (this.files.get(`${path}/cgroup.procs`) ?? "") !== "")
      return false;
    for (const name of this.files.keys()) if (name.startsWith(`${path}/`)) this.files.delete(name);
    return true;
  }

  directories(path: string): readonly string[] {
    const inside = [...this.files.keys()].filter((name) => name.startsWith(`${path}/`));
    const names = inside.map((name) => name.slice(path.length + 1)).filter((name) => name.includes("/"));
    return [...new Set(names.map((name) => name.slice(0, name.indexOf("/"))))];
  }

  #make(path: string, controllers: string): void {
    for (const [name, text] of Object.entries(NEW_GROUP)) this.files.set(`${path}/${name}`, text);
    this.files.set(`${path}/cgroup.controllers`, controllers);
    for (const controller of controllers.split(" ").filter(Boolean))
      for (const [name, text] of Object.entries(OF_CONTROLLER[controller] ?? {}))
        this.files.set(`${path}/${name}`, text);
  }

  #handDown(directory: string, text: string): void {
    const hasProcesses = (this.files.get(`${directory}/cgroup.procs`) ?? "") !== "";
    if (hasProcesses) throw Object.assign(new Error("EBUSY"), { code: "EBUSY" });
    const before = (this.files.get(`${directory}/cgroup.subtree_control`) ?? "").split(" ").filter(Boolean);
    const now = [...new Set([...before, text.replace("+", "")])].join(" ");
    this.files.set(`${directory}/cgroup.subtree_control`, now);
    for (const child of this.directories(directory)) {
      this.files.set(`${directory}/${child}/cgroup.controllers`, now);
      for (const [name, value] of Object.entries(OF_CONTROLLER[text.replace("+", "")] ?? {}))
        this.files.set(`${directory}/${child}/${name}`, value);
    }
  }

  #move(directory: string, pid: string): void {
    for (const [name, text] of this.files) {
      if (!name.endsWith("/cgroup.procs")) continue;
      this.files.set(
        name,
        text
          .split("\n")
          .filter((line) => line !== "" && line !== pid)
          .join("\n"),
      );
    }
    const file = `${directory}/cgroup.procs`;
    this.files.set(file, [this.files.get(file), pid].filter(Boolean).join("\n"));
  }
}
