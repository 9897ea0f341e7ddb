import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import type { OutputStream } from "../output/output-stream.ts";
import { factsOf } from "../process-table.ts";
import { findTool } from "../tools.ts";
import { SPAWNER_SOURCE_SHA256 } from "./bytes.ts";
import type { SpawnedProcess } from "./index.ts";
import { SELF_PATH, Spawner } from "./index.ts";
import { spawnerProgram, writeSpawnerProgram } from "./program.ts";
import type { SpawnRequest } from "./wire.ts";

const BUBBLEWRAP = findTool("bwrap");
const EMULATOR = "/usr/bin/qemu-aarch64-static";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-spawner-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the committed bytes were built from the committed source", () => {
  const source = readFileSync(new URL("spawner.c", import.meta.url));
  expect(SPAWNER_SOURCE_SHA256, "run scripts/build-program.sh").toBe(
    createHash("sha256").update(source).digest("hex"),
  );
});

test("each is a static program for its machine and under 16 KB", () => {
  const machines = { x64: 62, arm64: 183 } as const;
  for (const architecture of ["x64", "arm64"] as const) {
    const file = spawnerProgram(architecture) as Buffer;
    expect(file.subarray(0, 4).toString("latin1")).toBe("\u007fELF");
    expect(file.readUInt16LE(18)).toBe(machines[architecture]);
    expect(file.length).toBeLessThan(16_384);
  }
  expect(spawnerProgram("riscv64")).toBeUndefined();
});

const RUNS = [process.arch, ...(existsSync(EMULATOR) && process.arch !== "arm64" ? ["arm64"] : [])];

describe.each(RUNS)("the last step, on %s", (architecture) => {
  const run = (...words: readonly string[]): { status: number | null; stdout: string; stderr: string } => {
    const program = join(folder, architecture);
    writeFileSync(program, spawnerProgram(architecture) as Buffer);
    chmodSync(program, 0o755);
    const [first = "", ...rest] = [...(architecture === process.arch ? [] : [EMULATOR]), program, ...words];
    return spawnSync(first, rest, { encoding: "utf8", timeout: 30_000, env: { LEAKED: "1" } });
  };

  test("becomes the command, with the environment that it is told and no other", () => {
    const { stdout, status } = run("enter", "--", "PATH=/usr/bin:/bin", "A=b c", "--", "env");
    expect([stdout, status]).toEqual(["PATH=/usr/bin:/bin\nA=b c\n", 0]);
  });

  test("finds programs as a shell does, and says what it cannot use as one", () => {
    const script = join(folder, "script");
    writeFileSync(script, 'echo "$0 $1"\n', { mode: 0o755 });
    writeFileSync(join(folder, "closed"), "", { mode: 0o644 });
    const path = `PATH=/nowhere:${folder}:/usr/bin:/bin`;
    expect(run("enter", "--", path, "--", "script", "word").stdout).toBe(`${script} word\n`);
    expect(run("enter", `dir=${folder}`, "--", path, "--", "./script", "word").stdout).toBe(
      "./script word\n",
    );
    expect(run("enter", "--", path, "--", "no-such-program").status).toBe(127);
    expect(run("enter", "--", path, "--", join(folder, "closed")).status).toBe(126);
    expect(run("enter", "dir=/nowhere", "--", path, "--", "true")).toMatchObject({
      status: 126,
      stderr: "hearth: cannot go to /nowhere (errno 2)\n",
    });
    expect(run("enter", "--", path, "--", "").status).toBe(127);
  });

  test("no descriptor but the first three comes through, whatever it was started with", () => {
    const program = join(folder, "inherited");
    writeFileSync(program, spawnerProgram(process.arch) as Buffer, { mode: 0o755 });
    const script = `exec 7</dev/null 55</dev/null; exec "${program}" enter -- PATH=/usr/bin:/bin -- ls /proc/self/fd`;
    const { stdout } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
    // The fourth is the folder that `ls` reads.
    expect(stdout).toBe("0\n1\n2\n3\n");
  });

  test("what it does not understand is the sandbox's failure, not the task's", () => {
    for (const words of [
      [],
      ["serve", "x"],
      ["enter"],
      ["enter", "--"],
      ["enter", "--", "A=b"],
      ["enter", "x", "--", "--", "true"],
    ])
      expect(run(...words)).toMatchObject({ status: 125, stdout: "" });
  });
});

const REQUEST = {
  folder: "/",
  joinFiles: [],
  network: { type: "host" },
  openFiles: 99,
  oomScore: 300,
  users: "root",
} as const;

function shell(script: string): SpawnRequest {
  return {
    ...REQUEST,
    argv: [SELF_PATH, "enter", "tie", "--", "PATH=/usr/bin:/bin", "--", "sh", "-c", script],
  };
}

async function outputOf({ streams }: SpawnedProcess): Promise<readonly [string, string]> {
  return await Promise.all([textOf(streams.o), textOf(streams.e)]);
}

function textOf(stream: OutputStream): Promise<string> {
  const pieces: Buffer[] = [];
  return new Promise((resolve) => {
    stream.listen({
      onBytes: (bytes) => void pieces.push(Buffer.from(bytes)),
      onClose: () => resolve(Buffer.concat(pieces).toString("utf8")),
    });
  });
}

/** Where the time for a start is short: what comes too late on a busy machine was given up, which ends it. */
async function startAtLast(spawner: Spawner, request: SpawnRequest): Promise<SpawnedProcess> {
  const started: SpawnedProcess[] = [];
  await poll("it is started", async () => {
    try {
      started.push(await spawner.start(request));
      return true;
    } catch (error) {
      return String(error);
    }
  });
  return started[0] as SpawnedProcess;
}

const isGone = (pid: number): boolean => (factsOf(pid)?.state ?? "Z") === "Z";

describe("the spawner", () => {
  test("starts a process with its own outputs, limits and nothing else, and tells how it ended", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const process = await spawner.start(
      shell(
        "echo out; echo err >&2; ulimit -n; ulimit -c; cat /proc/self/oom_score_adj; ls /proc/self/fd | wc -l; exit 7",
      ),
    );
    // Of `ls`: its three and the folder itself.
    expect(await outputOf(process)).toEqual(["out\n99\n0\n300\n4\n", "err\n"]);
    expect(await process.exited).toEqual({ code: 7, signal: null });
    const killed = await spawner.start(shell("kill -9 $$"));
    expect(await killed.exited).toEqual({ code: null, signal: "SIGKILL" });
    spawner.close();
  });

  test("what cannot be executed or joined says so, and ends as a sandbox that was not made", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const missing = await spawner.start({ ...REQUEST, argv: ["/no/such/program"] });
    expect((await outputOf(missing))[1]).toBe("hearth: cannot execute /no/such/program (errno 2)\n");
    const outside = await spawner.start({ ...shell("true"), joinFiles: ["/no/such/cgroup"] });
    expect((await outputOf(outside))[1]).toBe("hearth: cannot open /no/such/cgroup (errno 2)\n");
    for (const one of [missing, outside]) expect(await one.exited).toEqual({ code: 125, signal: null });
    spawner.close();
  });

  test("many at once keep their outputs apart", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const said = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const process = await spawner.start(shell(`echo ${index}; echo ${index} >&2`));
        return await outputOf(process);
      }),
    );
    expect(said).toEqual(Array.from({ length: 60 }, (_, index) => [`${index}\n`, `${index}\n`]));
    spawner.close();
  });

  test("what is printed comes whole and in order, however much there is, and what nobody heard yet is kept", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const count = 300_000;
    const process = await spawner.start(shell(`seq ${count}; seq 3 >&2`));
    await setTimeout(50);
    const [out, err] = await outputOf(process);
    expect(err).toBe("1\n2\n3\n");
    expect(out === Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("")).toBe(true);
    spawner.close();
  });

  test("held back, a process waits once its pipe is full, and others go on; taken from again, all of it comes", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const [go, mark] = [join(folder, "go"), join(folder, "all-printed")];
    const script = `while ! test -e ${go}; do sleep 0.01; done; seq 100000; echo >${mark}`;
    const process = await spawner.start(shell(script));
    process.streams.o.pause();
    const all = outputOf(process);
    // Answered after the pause was carried out.
    await spawner.hail();
    writeFileSync(go, "");
    const other = await spawner.start(shell("sleep 0.2; echo on"));
    expect((await outputOf(other))[0]).toBe("on\n");
    expect(existsSync(mark)).toBe(false);
    process.streams.o.resume();
    expect((await all)[0].split("\n").length).toBe(100_001);
    spawner.close();
  });

  test("closed, a stream ends after what lies there, whoever holds it open", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const mark = join(folder, "has-said");
    const process = await spawner.start(shell(`echo last words; echo >${mark}; exec sleep 300`));
    await poll("it has said so", async () => existsSync(mark) || "not yet");
    process.streams.o.close();
    process.streams.e.close();
    expect(await outputOf(process)).toEqual(["last words\n", ""]);
    process.kill();
    await process.exited;
    spawner.close();
  });

  test("kills what it has started when asked, and nobody after its end", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const process = await spawner.start(shell("sleep 60"));
    process.kill();
    expect(await process.exited).toEqual({ code: null, signal: "SIGKILL" });
    process.kill();
    const next = await spawner.start(shell("echo on"));
    expect((await outputOf(next))[0]).toBe("on\n");
    spawner.close();
  });

  test("closed, it lets run what runs, and ends after the last", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const process = await spawner.start(shell("sleep 60"));
    const parent = factsOf(process.pid)?.parent as number;
    spawner.close();
    expect([isGone(process.pid), isGone(parent)]).toEqual([false, false]);
    globalThis.process.kill(process.pid, "SIGKILL");
    await process.exited;
    await poll("the program ends", async () => isGone(parent) || "it runs");
  });

  test("answers while it runs, not while it is stopped, and again when it goes on or was ended", async () => {
    const spawner = await Spawner.open(join(folder, "hail"));
    const isAnswered = async (): Promise<boolean> =>
      await Promise.race([spawner.hail().then(() => true), setTimeout(300, false)]);
    await spawner.hail();
    const process = await spawner.start(shell("exec sleep 300"));
    const parent = factsOf(process.pid)?.parent ?? 0;
    globalThis.process.kill(parent, "SIGSTOP");
    expect(await isAnswered()).toBe(false);
    globalThis.process.kill(parent, "SIGCONT");
    await spawner.hail();
    globalThis.process.kill(parent, "SIGKILL");
    await process.exited;
    await spawner.hail();
    spawner.close();
  });

  test("a start for which no more files can be opened fails alone, and others go on", async () => {
    const script = join(folder, "lost.mts");
    writeFileSync(
      script,
      `import { Spawner } from ${JSON.stringify(new URL("index.ts", import.meta.url).pathname)};
       const spawner = await Spawner.open(${JSON.stringify(join(folder, "d"))});
       const start = (request) => spawner.start(request).catch((error) => error.message);
       const sleeping = Array.from({ length: 150 }, () => start(${JSON.stringify(shell("exec sleep 300"))}));
       const all = await Promise.all(sleeping);
       const refused = all.filter((one) => typeof one === "string");
       const running = all.filter((one) => typeof one !== "string");
       running[0].kill();
       await running[0].exited;
       for (const stream of Object.values(running[0].streams)) await new Promise((onClose) => stream.listen({ onBytes() {}, onClose }));
       const next = await start(${JSON.stringify(shell("exit 7"))});
       const { code } = await next.exited;
       process.stdout.write(JSON.stringify({ refused: [...new Set(refused)], hasSome: running.length > 10, code }));
       process.exit();`,
    );
    const program = ["--nofile=200", process.execPath, "--import", "tsx", script];
    const cwd = new URL("../../../../", import.meta.url).pathname;
    const { stdout } = spawnSync("prlimit", program, { cwd, encoding: "utf8" });
    expect(JSON.parse(stdout)).toEqual({
      refused: [expect.stringContaining("EMFILE")],
      hasSome: true,
      code: 7,
    });
  });

  test("held up, it starts nothing that has been given up, and then goes on", async () => {
    const spawner = await Spawner.open(join(folder, "e"), 500);
    const first = await startAtLast(spawner, shell("sleep 60"));
    const parent = factsOf(first.pid)?.parent as number;
    globalThis.process.kill(parent, "SIGSTOP");
    const mark = join(folder, "given-up");
    await expect(spawner.start(shell(`echo $$ >${mark}; exec sleep 300`))).rejects.toThrow("within 500 ms");
    globalThis.process.kill(parent, "SIGCONT");
    const next = await startAtLast(spawner, shell("echo on"));
    expect((await outputOf(next))[0]).toBe("on\n");
    const late = existsSync(mark) ? Number(readFileSync(mark, "utf8")) : 0;
    await poll("what was given up ends", async () => late === 0 || isGone(late) || "it runs");
    globalThis.process.kill(first.pid, "SIGKILL");
    await first.exited;
    spawner.close();
  });

  test("a program that may not be executed any more, or is another, is written anew", async () => {
    const at = join(folder, "f");
    const path = writeSpawnerProgram(at);
    for (const spoil of [() => chmodSync(path, 0o644), () => rmSync(path), () => chmodSync(path, 0o777)]) {
      spoil();
      (await Spawner.open(at)).close();
      expect(statSync(path).mode & 0o777).toBe(0o555);
    }
  });

  test("killed itself, it takes along what it started, and the next start begins anew", async () => {
    const spawner = await Spawner.open(join(folder, "a"));
    const process = await spawner.start(shell("sleep 60"));
    globalThis.process.kill(factsOf(process.pid)?.parent as number, "SIGKILL");
    // Nobody knows whether it had ended by itself before.
    expect(await process.exited).toEqual({ code: null, signal: null });
    await poll("the process ends", async () => isGone(process.pid) || "it runs");
    const next = await spawner.start(shell("echo again"));
    expect((await outputOf(next))[0]).toBe("again\n");
    await next.exited;
    spawner.close();
  });

  test("with its daemon end also those that left their session and their parents", async () => {
    const script = join(folder, "daemon.mts");
    const pids = join(folder, "pids");
    const orphan = `(setsid sh -c 'echo $$ >>${pids}; exec sleep 300' &) ; echo $$ >>${pids}; exec sleep 300`;
    writeFileSync(
      script,
      `import { Spawner } from ${JSON.stringify(new URL("index.ts", import.meta.url).pathname)};
       const spawner = await Spawner.open(${JSON.stringify(join(folder, "b"))});
       await spawner.start(${JSON.stringify(shell(orphan))});`,
    );
    const daemon = spawn(process.execPath, ["--import", "tsx", script], {
      cwd: new URL("../../../../", import.meta.url).pathname,
      stdio: "inherit",
    });
    const started = (): readonly number[] =>
      existsSync(pids) ? readFileSync(pids, "utf8").split("\n").filter(Boolean).map(Number) : [];
    await poll("both run", async () => started().length === 2 || "not yet");
    expect(started().some(isGone)).toBe(false);
    daemon.kill("SIGKILL");
    await poll("both end", async () => started().every(isGone) || "they run");
  });

  test.skipIf(BUBBLEWRAP === undefined)(
    "killed in the middle of many starts, it leaves no bubblewrap that waits for another",
    async () => {
      const script = join(folder, "starts.mts");
      const mark = `hearth-middle-${process.pid}`;
      const argv = [BUBBLEWRAP, "--unshare-pid", "--unshare-uts", "--hostname", mark, "--die-with-parent"];
      const wrapped = [...argv, "--json-status-fd", "3", "--ro-bind", "/", "/", "--", "/bin/sleep", "300"];
      writeFileSync(
        script,
        `import { Spawner } from ${JSON.stringify(new URL("index.ts", import.meta.url).pathname)};
         const spawner = await Spawner.open(${JSON.stringify(join(folder, "c"))});
         const begin = () => spawner.start(${JSON.stringify({ ...REQUEST, argv: wrapped })});
         void Promise.all(Array.from({ length: 30 }, begin)).catch(() => undefined);
         setTimeout(() => process.kill(process.pid, "SIGKILL"), Number(process.argv[2]));`,
      );
      const left = (): readonly string[] =>
        readdirSync("/proc").filter((name) => /^\d+$/.test(name) && commandOf(name).includes(mark));
      for (const delayMs of [1, 5, 10, 20, 40]) {
        const daemon = spawn(process.execPath, ["--import", "tsx", script, `${delayMs}`], {
          cwd: new URL("../../../../", import.meta.url).pathname,
          stdio: "inherit",
        });
        expect(await once(daemon, "exit")).toEqual([null, "SIGKILL"]);
        await poll("all of them end", async () => left().length === 0 || left().join());
      }
    },
  );
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

describe("cgroups made by the spawner", () => {
  const steps = (more: Partial<NonNullable<SpawnRequest["plan"]>>): Partial<SpawnRequest> => ({
    plan: { directories: [], settings: [], ...more },
  });

  test("directories are made with those above them, limits are written, and the next is tried where one is refused", async () => {
    const spawner = await Spawner.open(join(folder, "plan"));
    const at = join(folder, "groups/of/one");
    const file = join(folder, "limit");
    writeFileSync(file, "");
    const tries = [
      { file: join(folder, "absent"), text: "1" },
      { file, text: "2" },
      { file, text: "never" },
    ] as const;
    const settings = [
      { tries, isNeeded: true },
      { tries: [tries[0]], isNeeded: false },
    ] as const;
    const plan = steps({ directories: [at, at, join(folder, "groups/two")], settings });
    const one = await spawner.start({ ...shell(`cat ${file}; ls -d ${at} ${folder}/groups/two`), ...plan });
    expect((await outputOf(one))[0]).toBe(`2${at}\n${folder}/groups/two\n`);
    await spawner.removeDirectories([at, join(folder, "groups/two"), join(folder, "never")]);
    expect(readdirSync(join(folder, "groups/of"))).toEqual([]);
    writeFileSync(join(folder, "groups/of/full"), "");
    await expect(spawner.removeDirectories([join(folder, "groups/of")])).rejects.toMatchObject({
      facts: { reason: expect.stringContaining("ENOTEMPTY") },
    });
    spawner.close();
  });

  test("what is needed and cannot be set fails the start before anything of it runs", async () => {
    const spawner = await Spawner.open(join(folder, "plan"));
    const file = join(folder, "absent");
    const plan = steps({ settings: [{ tries: [{ file, text: "1" }], isNeeded: true }] });
    const one = await spawner.start({ ...shell("echo runs"), ...plan });
    expect(await outputOf(one)).toEqual(["", `hearth: cannot set ${file} (errno 2)\n`]);
    expect(await one.exited).toEqual({ code: 125, signal: null });
    const other = await spawner.start({
      ...shell("echo runs"),
      ...steps({ directories: ["/proc/no/such"] }),
    });
    expect((await outputOf(other))[1]).toContain("cannot make /proc/no/such");
    spawner.close();
  });
});
