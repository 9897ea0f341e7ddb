import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import { MOST_VIEWS, Spawner } from "../spawner/index.ts";
import { launch } from "../task/launch.ts";
import { findTool } from "../tools.ts";
import { usersFile } from "./bubblewrap.ts";
import type { CommandWish } from "./command-line.ts";
import { commandLine } from "./command-line.ts";
import { KeptViews } from "./kept-views.ts";
import { SettingsFolder } from "./settings-folder.ts";

const BUBBLEWRAP = findTool("bwrap") ?? "";
const CAN_RUN = BUBBLEWRAP !== "" && process.getuid?.() === 0;
const UID = 2_000_000_001;
const OUTSIDE = { network: { type: "host" }, joinFiles: [], openFiles: 99, oomScore: 300 } as const;

let root: string;
let spawner: Spawner;
let settings: SettingsFolder;

beforeAll(async () => {
  root = mkdtempSync("/var/tmp/hearth-views-");
  chmodSync(root, 0o755);
  spawner = await Spawner.open(join(root, "programs"));
  settings = new SettingsFolder(join(root, "settings"));
  mkdirSync(join(root, "task"));
});
afterAll(() => {
  spawner.close();
  rmSync(root, { recursive: true, force: true });
});

function wishFor(script: string, more: Partial<CommandWish> = {}): CommandWish {
  return {
    folder: join(root, "task"),
    command: ["sh", "-c", script],
    environment: { PATH: "/usr/bin:/bin" },
    cgroups: 0,
    uid: UID,
    settings: settings.view(),
    scratchBytes: 1 << 20,
    readOnlyPaths: [],
    devices: [],
    ...more,
  };
}

/** What a script in a copy says, and how it ends. */
async function say(views: KeptViews, script: string, more: Partial<CommandWish> = {}): Promise<string> {
  const wish = wishFor(script, more);
  const launched = await views.launch(wish, { ...OUTSIDE, users: usersFile(wish.uid ?? 0) });
  if (launched === undefined) throw new Error("there was no room for its view");
  const exit = await launched.exited;
  await launched.drained;
  const code = exit.type === "exited" ? exit.exitCode : JSON.stringify(exit);
  return `${launched.ring.tail(65_536).text.trim()} [${code}]`;
}

/** The process that is the spawner's program: a child of this one. What it forks looks the same until it becomes something else. */
function programOf({ path }: Spawner): string {
  const ofUs = ["-P", String(process.pid), "-f", `^${path} serve`];
  return execFileSync("pgrep", ofUs, { encoding: "utf8" }).trim();
}

/** Views that the spawner's program holds open, wherever: each is a name space of mounts. */
function heldViews(): number {
  const folder = `/proc/${programOf(spawner)}/fd`;
  return readdirSync(folder).filter((fd) => readlinkSync(join(folder, fd)).startsWith("mnt:")).length;
}

describe.skipIf(!CAN_RUN)("a kept view", () => {
  test("is copied for each: a first process, IPC, host name and users of its own, and the end of its command", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    expect(await say(views, "id -un; hostname; echo $$; pwd; exit 7")).toBe("task\ntask\n2\n/task [7]");
    expect(await say(views, "kill -9 $$")).toBe(' [{"type":"signalled","signal":"SIGKILL"}]');
    const own = await Promise.all(
      [1, 2].map((at) => say(views, "id -u; cat /etc/passwd", { uid: UID + at })),
    );
    expect(own).toEqual([1, 2].map((at) => `${UID + at}\n${usersFile(UID + at).trim()} [0]`));
    const ipc = await Promise.all(
      [1, 2].map(() => say(views, "readlink /proc/self/ns/ipc /proc/self/ns/mnt /proc/self/ns/pid")),
    );
    expect(new Set(ipc.flatMap((text) => text.replace(" [0]", "").split("\n"))).size).toBe(6);
    expect(heldViews()).toBe(1);
  });

  test("S: what one writes no other finds, and nothing but its own places can be written at all", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const work = join(root, "work");
    mkdirSync(work, { mode: 0o777 });
    execFileSync("chown", [String(UID), work]);
    const places = 'find / -path /proc -prune -o -writable -type d -print 2>/dev/null | sort | tr "\\n" " "';
    const more = { work: { source: work, target: "/working_dir" }, begin: { folder: "/working_dir" } };
    expect(await say(views, places, more)).toBe("/dev/shm /tmp /working_dir [0]");
    const leave =
      "for at in /tmp /dev/shm; do echo mine > $at/mine; done; ls /tmp /dev/shm; script -qc 'ls /dev/pts' /dev/null | tr -d '\\r'";
    const first = await say(views, leave, more);
    // The one terminal is its own each time.
    expect(first).toBe("/dev/shm:\nmine\n\n/tmp:\nmine\n0  ptmx [0]");
    expect(await say(views, leave, more)).toBe(first);
    expect(await say(views, "ls -A /tmp /dev/shm", more)).toBe("/dev/shm:\n\n/tmp: [0]");
    expect(await say(views, "head -c 2000000 /dev/zero > /tmp/x; echo $?", more)).toContain("No space left");
  });

  test("S: mounts, /proc and privileges are those that bubblewrap gives", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    // The topmost at each place, with what may be done there.
    const mounts =
      "awk '{ top[$5] = $6 } END { for (place in top) print place, top[place] }' /proc/self/mountinfo | sort";
    const seen = new Map(
      (await say(views, mounts)).split("\n").map((line) => line.split(" ") as [string, string]),
    );
    for (const place of ["/", "/usr", "/etc", "/etc/passwd", "/task", "/proc/sys", "/proc/bus"])
      expect([place, seen.get(place)?.split(",")[0]]).toEqual([place, "ro"]);
    for (const [place, how] of seen)
      if (!place.startsWith("/dev/pts"))
        expect([place, how]).toEqual([place, expect.stringContaining("nosuid")]);
    for (const place of ["/tmp", "/dev/shm", "/task", "/usr", "/proc"])
      expect(seen.get(place)).toContain("nodev");
    const status = await say(
      views,
      "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Groups)' /proc/self/status",
    );
    expect(status.replaceAll(/\s+/g, " ")).toBe(
      ["Groups: ", "CapInh: ", "CapPrm: ", "CapEff: ", "CapBnd: ", "CapAmb: "]
        .map((name) => (name === "Groups: " ? name : `${name}0000000000000000 `))
        .join("") + "NoNewPrivs: 1 [0]",
    );
    // The first process inside has nothing left either, and is nobody's to look into.
    expect(
      await say(
        views,
        "exec 2>&1; grep CapEff /proc/1/status; ls /proc/1/fd; ls /proc/1/root; kill -9 1; echo on",
      ),
    ).toMatch(/^CapEff:\s0{16}\n(ls: .*\n){2}.*not permitted\n+on \[0\]$/);
    expect(
      await say(
        views,
        "ls /proc/self/fd | wc -l; umount /tmp 2>&1; mount -t tmpfs x /tmp 2>&1; unshare -m true 2>&1",
      ),
    ).toMatch(/^4\numount: .*\nmount: [^]*\nunshare: .* \[1\]$/);
  });

  test("S: one cannot take all terminals of the host", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const open =
      'perl -e \'while (open(my $f, "+<", "/dev/ptmx")) { push @all, $f } print scalar @all, " $!"\'';
    const launched = await views.launch(wishFor(open), {
      ...OUTSIDE,
      openFiles: 4096,
      users: usersFile(UID),
    });
    await launched?.drained;
    expect(launched?.ring.tail(4096).text).toBe("256 No space left on device");
  });

  test("a script that names no interpreter has its arguments and its environment", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const folder = join(root, "plain");
    mkdirSync(folder, { mode: 0o755 });
    writeFileSync(join(folder, "plain"), 'echo "$*: $TOLD"\n', { mode: 0o755 });
    const words = "abcdefghij".split("");
    for (const count of [0, 1, 3, 10]) {
      const told = words.slice(0, count);
      const environment = { PATH: "/usr/bin:/bin", TOLD: "this", MORE: "that" };
      const more = { folder, command: ["/task/plain", ...told], environment };
      expect(await say(views, "", more)).toBe(`${told.join(" ")}: this [0]`);
    }
  });

  test("S: the kernel's keyrings are out of reach, in a copy as behind walls of its own", async () => {
    const numbers = process.arch === "arm64" ? [217, 218, 219] : [248, 249, 250];
    // What a kernel answers that has no such call, to all three.
    const script = numbers.map((number) => `perl -e 'print syscall(${number}, 0, -3, 1), " $!\n"'`).join(";");
    const refused = `${"-1 Function not implemented\n".repeat(3).trim()} [0]`;
    const views = new KeptViews(spawner, BUBBLEWRAP);
    expect(await say(views, script)).toBe(refused);
    const how = { bubblewrap: BUBBLEWRAP, givesUpPrivileges: true, changesUid: true };
    const argv = commandLine(how, wishFor(script));
    const whole = { ...OUTSIDE, argv, folder: "/", users: usersFile(UID), leaderKind: "bubblewrap" } as const;
    const launched = await launch(spawner, whole);
    expect(await launched.exited).toEqual({ type: "exited", exitCode: 0 });
    await launched.drained;
    expect(`${launched.ring.tail(4096).text.trim()} [0]`).toBe(refused);
  });

  test("S: a link in the task's folder does not make a part of the host seen", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const folder = join(root, "linked");
    mkdirSync(folder, { mode: 0o755 });
    symlinkSync("/", join(folder, "scripts"));
    const source = join(root, "linked-work");
    mkdirSync(source, { mode: 0o755 });
    const more = { folder, work: { source, target: "/w" }, begin: { folder: "/w" } };
    expect(await say(views, "test -e /scripts; echo $?", more)).toBe("1 [0]");
  });

  test("S: a job's folder is seen wherever it is wanted, below /tmp as well, and nothing beside it", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const source = join(root, "deep");
    mkdirSync(source, { mode: 0o755 });
    writeFileSync(join(source, "input"), "");
    for (const target of ["/tmp/a/b", "/home/runner/work"]) {
      const more = { work: { source, target }, begin: { folder: target } };
      expect(await say(views, "pwd; ls -A; ls -A ..", more)).toBe(
        `${target}\ninput\n${target.split("/").at(-1)} [0]`,
      );
    }
  });

  test("all that it started ends with its first process, and with what keeps the views", async () => {
    const own = await Spawner.open(join(root, "programs-of-all"));
    const views = new KeptViews(own, BUBBLEWRAP);
    // No other run of these tests on this host counts it.
    const sleep = `sleep 311.${process.pid}`;
    const wish = wishFor(`setsid ${sleep} & setsid setsid ${sleep} & ${sleep}`);
    const launched = await views.launch(wish, { ...OUTSIDE, users: usersFile(UID) });
    const running = (): number =>
      Number(execFileSync("sh", ["-c", `pgrep -cxf '${sleep}' || true`], { encoding: "utf8" }));
    await poll("all three run", () => Promise.resolve(running() === 3 || `${running()} run`));
    launched?.killLeader();
    expect(await launched?.exited).toEqual({ type: "signalled", signal: "SIGKILL" });
    await poll("none is left", () => Promise.resolve(running() === 0 || `${running()} run`));
    own.close();
  });

  test("that shows what has been replaced on the host is made again", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const place = join(root, "further");
    mkdirSync(place, { mode: 0o755 });
    writeFileSync(join(place, "told"), "old");
    const told = async (): Promise<string> =>
      await say(views, `cat ${place}/told`, { readOnlyPaths: [place] });
    expect(await told()).toBe("old [0]");
    writeFileSync(join(place, "told"), "changed");
    expect(await told()).toBe("changed [0]");
    renameSync(place, `${place}.old`);
    mkdirSync(place, { mode: 0o755 });
    writeFileSync(join(place, "told"), "new");
    expect(await told()).toBe("new [0]");
    // A task's own folder is never part of it.
    writeFileSync(join(root, "task/told"), "one");
    expect(await say(views, "cat told")).toBe("one [0]");
    renameSync(join(root, "task"), join(root, "task.old"));
    mkdirSync(join(root, "task"));
    expect(await say(views, "ls | wc -l")).toBe("0 [0]");
  });

  test("goes with the program that kept it; the next start makes it anew", async () => {
    const own = await Spawner.open(join(root, "programs-2"));
    const views = new KeptViews(own, BUBBLEWRAP);
    expect(await say(views, "echo 1")).toBe("1 [0]");
    process.kill(Number(programOf(own)), "SIGKILL");
    await poll("its end is seen", () => Promise.resolve(own.program === undefined || "not yet"));
    expect(await Promise.all([1, 2, 3].map((at) => say(views, `echo ${at}`)))).toEqual([
      "1 [0]",
      "2 [0]",
      "3 [0]",
    ]);
    own.close();
  });

  test("what is to be seen below a place that each has for itself is left to bubblewrap", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const wish = wishFor("true", { readOnlyPaths: ["/tmp/interpreter"] });
    expect(await views.launch(wish, { ...OUTSIDE, users: "" })).toBeUndefined();
  });

  test("there are never more than can be kept, however many are wanted", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    for (let at = 0; at < MOST_VIEWS + 8; at += 1) {
      const place = join(root, `many-${at}`);
      mkdirSync(place, { mode: 0o755 });
      expect(await say(views, `test -d ${place} && echo seen`, { readOnlyPaths: [place] })).toBe("seen [0]");
      expect(heldViews()).toBeLessThanOrEqual(MOST_VIEWS);
    }
    expect(heldViews()).toBe(MOST_VIEWS);
  });

  test("that cannot be made fails the start, with what bubblewrap said, and every later one tries again", async () => {
    const views = new KeptViews(spawner, BUBBLEWRAP);
    const work = { source: join(root, "task"), target: "/usr/no/such" };
    for (let tries = 0; tries < 2; tries += 1)
      await expect(say(views, "true", { work })).rejects.toMatchObject({
        code: "SANDBOX_START_FAILED",
        facts: { logTail: expect.stringMatching(/^bwrap: .*\/usr\/no/) },
      });
    expect(await say(views, "echo fine")).toBe("fine [0]");
  });

  test("S: the daemon's own view of the files is never taken for one", async () => {
    const own = await Spawner.open(join(root, "programs-of-none"));
    await expect(own.keepView(31, process.pid)).rejects.toMatchObject({
      facts: { reason: expect.stringContaining("EINVAL") },
    });
    await expect(own.keepView(31, 2 ** 22 + 1)).rejects.toMatchObject({
      facts: { reason: expect.stringContaining("ENOENT") },
    });
    const walls = { place: 31, scratchBytes: 4096, trees: [] };
    const argv = ["enter", "--", "--", "true"];
    await expect(own.start({ ...OUTSIDE, argv, walls, folder: "/", users: "" })).rejects.toMatchObject({
      code: "SANDBOX_START_FAILED",
      facts: { reason: expect.stringContaining("EBADF") },
    });
    own.close();
  });
});
