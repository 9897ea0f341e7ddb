import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SELF_PATH } from "../spawner/index.ts";
import { canExecute, taskPath } from "../tools.ts";
import { commandLine } from "./command-line.ts";
import type { Confinement } from "./confinement.ts";
import { describeReach } from "./reach.ts";
import { openTaskUids } from "./task-uids.ts";

const STRONGEST: Confinement = { bubblewrap: "/usr/bin/bwrap", givesUpPrivileges: true, changesUid: true };
const PLAIN: Confinement = { bubblewrap: undefined, givesUpPrivileges: false, changesUid: false };

const wish = (command: readonly string[], environment: Readonly<Record<string, string>> = {}) => ({
  folder: "/tasks/echo",
  command,
  environment,
  cgroups: 2,
  uid: 2_000_000_007,
  settings: { folder: "/state/etc", folders: [] },
  scratchBytes: 1024,
  readOnlyPaths: [],
  devices: [],
});

describe("the command line", () => {
  test("whatever a task.json says is only ever an argument at the end, after every privilege is gone", () => {
    const words = fc.array(fc.string(), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(words, fc.string(), (command, value) => {
        const line = commandLine(STRONGEST, wish(command, { LD_PRELOAD: value }));
        const own = ["--", `LD_PRELOAD=${value}`, "--", ...command];
        expect(line.slice(-own.length)).toEqual(own);
        const before = line.slice(0, -own.length);
        expect(before).toEqual(commandLine(STRONGEST, wish(["x"])).slice(0, -3));
        expect(before.slice(-5)).toEqual([SELF_PATH, "enter", "join=2", "nnp", "uid=2000000007"]);
      }),
    );
  });

  test("with bubblewrap and a uid: wrapped first, unprivileged last", () => {
    const line = commandLine(STRONGEST, wish(["node"]));
    expect(line[0]).toBe("/usr/bin/bwrap");
    expect(line.slice(-8)).toEqual([
      SELF_PATH,
      "enter",
      "join=2",
      "nnp",
      "uid=2000000007",
      "--",
      "--",
      "node",
    ]);
    for (const word of ["--die-with-parent", "--unshare-pid"]) expect(line).toContain(word);
    expect(line).not.toContain("--share-net");
  });

  test("a job goes to its folder and says that it begins, as the very last", () => {
    const line = commandLine(STRONGEST, { ...wish(["node"]), begin: { folder: "/work" } });
    expect(line.slice(-6)).toEqual(["uid=2000000007", "dir=/work", "begin", "--", "--", "node"]);
  });

  test("with nothing: still in its cgroups, and bound to its parent", () => {
    const line = commandLine(PLAIN, { ...wish(["node"]), uid: undefined });
    expect(line).toEqual([SELF_PATH, "enter", "join=2", "tie", "--", "--", "node"]);
  });
});

describe("uids of tasks", () => {
  const WHOLE = "         0          0 4294967295\n";
  test("each sandbox has its own, freed ones come back last, and an owner keeps its block", () => {
    const uids = openTaskUids("me", WHOLE);
    const [one, two] = [uids?.take() ?? 0, uids?.take() ?? 0];
    expect(two).toBe(one + 1);
    uids?.giveBack(one);
    expect(uids?.take()).toBe(two + 1);
    expect(openTaskUids("me", WHOLE)?.take()).toBe(one);
    expect(uids?.isTask(one)).toBe(true);
    expect([0, 1000, 65_534].some((uid) => uids?.isTask(uid))).toBe(false);
  });

  test("in a container that maps few uids all tasks are nobody; where not even that exists, none has one", () => {
    const few = openTaskUids("me", "0 100000 65536\n");
    expect([few?.isOwn, few?.take(), few?.take()]).toEqual([false, 65_534, 65_534]);
    expect(openTaskUids("me", "0 1000 1\n")).toBeUndefined();
  });
});

describe("what was reached", () => {
  test("nothing at all is told, in so many words", () => {
    const reach = describeReach(
      { confinement: PLAIN, cgroups: undefined, uids: undefined, networks: undefined },
      ["bwrap is not installed"],
    );
    expect(reach).toMatchObject({
      cgroup: "none",
      limits: [],
      freezer: "signals",
      uids: "daemon",
      network: "host",
    });
    expect(reach.warnings).toEqual([
      "no cgroup can be made here: CPU, memory and processes are not limited",
      "tasks see the host's file system and processes",
      "tasks run under the daemon's own uid: the API cannot tell them from other local callers",
      "tasks are on the host's network: they reach each other and what listens on its loopback",
      "bwrap is not installed",
    ]);
  });
});

describe("a task's program", () => {
  test("is found in its path, beside its task.json, or where it says", () => {
    expect(canExecute("sh", "/", taskPath())).toBe(true);
    expect(canExecute("/bin/sh", "/", taskPath())).toBe(true);
    expect(canExecute("./sh", "/bin", taskPath())).toBe(true);
    for (const program of ["no-such-program", "./no", "/no/such", "/etc/group", "/bin"])
      expect(canExecute(program, "/", taskPath())).toBe(false);
  });
});
