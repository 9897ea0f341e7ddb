import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodesOf } from "./device-nodes.ts";

test("cards whose driver does not tell their number are found in /proc, and a card that is nowhere has no file", () => {
  const folder = mkdtempSync(join(tmpdir(), "hearth-proc-"));
  try {
    mkdirSync(join(folder, "0000:3b:00.0"));
    writeFileSync(
      join(folder, "0000:3b:00.0", "information"),
      "Model: \t\t Tesla T4\nIRQ:   \t\t 45\nGPU UUID: \t GPU-b\nBus Location: \t 0000:3b:00.0\nDevice Minor: \t 5\n",
    );
    const told = (id: string): number | undefined => (id === "GPU-a" ? 2 : undefined);
    const cards = (...ids: string[]): string[] =>
      nodesOf(ids, told, folder).filter((path) => /^\/dev\/nvidia\d+$/.test(path));
    expect(cards("GPU-a", "GPU-b")).toEqual(["/dev/nvidia2", "/dev/nvidia5"]);
    expect(cards("GPU-c")).toEqual([]);
    expect(nodesOf([], told, folder)).toEqual([]);
    expect(nodesOf(["GPU-b"], told, join(folder, "absent"))).not.toContain("/dev/nvidia5");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
