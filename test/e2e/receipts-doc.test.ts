import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { runProgram } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("docs/receipts.md: its commands run as they are written, one after the other", async () => {
  await using daemon = await startDaemon({ config: "driver: process\n" });
  const folder = mkdtempSync(join(tmpdir(), "hearth-doc-"));
  try {
    const program = `#!/bin/sh\nexec "${process.execPath}" "${root}/dist/hearth.mjs" "$@"\n`;
    writeFileSync(join(folder, "hearth"), program, { mode: 0o755 });
    await daemon.cli("call", "echo", "hello");
    const id = await recordedRun(daemon);
    const page = readFileSync(join(root, "docs/receipts.md"), "utf8");
    const [, commands = ""] = /^```sh\n([\s\S]*?)^```/m.exec(page) ?? [];
    expect(commands.trim().split("\n").length).toBeGreaterThanOrEqual(5);
    const said: string[] = [];
    for (const command of commands.trim().split("\n")) {
      const { code, stdout, stderr } = await runProgram("sh", ["-c", command.replace(" ID ", ` ${id} `)], {
        cwd: folder,
        env: { PATH: `${folder}:${process.env["PATH"] ?? ""}`, HEARTH_HOST: daemon.baseUrl },
      });
      expect([command, code, stderr]).toEqual([command, 0, expect.any(String) as string]);
      said.push(stdout);
    }
    expect(said[0]).toContain("echo");
    expect(said[1]).toContain(id);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

/** The id of the last run, once there is one. */
async function recordedRun(daemon: Daemon): Promise<string> {
  let id: string | undefined;
  await poll("the run is recorded", async () => {
    const { runs } = JSON.parse(await daemon.cli("runs", "--json")) as { runs: { id: string }[] };
    id = runs[0]?.id;
    return id !== undefined || "none";
  });
  return id ?? "";
}
