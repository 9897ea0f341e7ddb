import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import { pauseImage } from "./pause-image.ts";
import { pauseProgram } from "./pause-program.ts";
import { idsInMounts } from "./reach.ts";
import { tar } from "./tar.ts";

test.runIf(process.platform === "linux" && process.arch === "x64")(
  "the program sleeps until it is killed",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "pause-"));
    try {
      writeFileSync(join(folder, "pause"), pauseProgram("amd64"), { mode: 0o755 });
      const child = spawn(join(folder, "pause"));
      await once(child, "spawn");
      const stat = (): Promise<string> => readFile(`/proc/${child.pid}/stat`, "utf8");
      await poll("it sleeps", async () => / S /.test(await stat()) || (await stat()));
      child.kill("SIGKILL");
      expect((await once(child, "exit"))[1]).toBe("SIGKILL");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test.each([
  ["amd64", 62],
  ["arm64", 183],
])("the program for %s is a static 64-bit executable of that machine, and tiny", (architecture, machine) => {
  const program = pauseProgram(architecture);
  expect(program.subarray(0, 4).toString("latin1")).toBe("\u007fELF");
  expect(program.readUInt16LE(18)).toBe(machine);
  expect(program.length).toBeLessThan(200);
});

test("an architecture that we have no program for is told by its name", () => {
  expect(() => pauseProgram("riscv64")).toThrow(/riscv64/);
});

test("the image is the same at every start of every daemon", () => {
  expect(pauseImage("amd64")).toEqual(pauseImage("amd64"));
  expect(pauseImage("amd64").name).not.toBe(pauseImage("arm64").name);
});

test("an archive can be read by the host's own tar", () => {
  const archive = tar([
    { path: "a", content: Buffer.from("hello"), mode: 0o755 },
    { path: "b", content: Buffer.alloc(513, 1) },
    { path: "c", content: Buffer.alloc(0), linkTo: "a" },
  ]);
  expect(execFileSync("tar", ["t"], { input: archive, encoding: "utf8" })).toBe("a\nb\nc\n");
});

test("a daemon in a container finds its own id in its mounts, and no other container's", () => {
  const own = "a".repeat(64);
  const other = "b".repeat(64);
  const mounts = [
    `1 2 8:1 /var/lib/docker/containers/${own}/hostname /etc/hostname rw - ext4 /dev/sda rw`,
    `1 3 8:1 /var/lib/docker/containers/${own}/hosts /etc/hosts rw - ext4 /dev/sda rw`,
    `1 4 0:50 / /var/lib/docker/containers/${other}/mounts/shm rw - tmpfs shm rw`,
  ].join("\n");
  expect(idsInMounts(mounts)).toEqual([own]);
});
