import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseSmi, querySmi } from "./query-smi.ts";

const GPU0 = "0, GPU-aaaa, 00000000:3B:00.0, 81920, 40960, 73, 0, 550.54.15, NVIDIA A100-SXM4-80GB";

describe("what nvidia-smi prints", () => {
  test("a card with all its figures", () => {
    expect(parseSmi(`${GPU0}\n`)).toEqual({
      driver: "550.54.15",
      unreadable: [],
      cards: [
        {
          id: "GPU-aaaa",
          index: 0,
          model: "NVIDIA A100-SXM4-80GB",
          pciBusId: "00000000:3B:00.0",
          memoryBytes: 81_920 * 2 ** 20,
          memoryUsedBytes: 40_960 * 2 ** 20,
          computePercent: 73,
          pids: [],
        },
      ],
    });
  });

  test.each([
    ["a UUID that is none", GPU0.replace("GPU-aaaa", "GPU-<script>"), 'no UUID, but "GPU-<script>"'],
    ["a word for its memory", GPU0.replace("81920", "much"), '"much" for its memory'],
    ["more memory than there is", GPU0.replace("81920", "99999999999999999999999"), "for its memory"],
  ])("a row with %s is no card", (_, line, reason) => {
    const { cards, unreadable } = parseSmi(line);
    expect(cards).toEqual([]);
    expect(unreadable).toEqual([{ index: 0, reason: expect.stringContaining(reason) as string }]);
  });

  test("a program that prints without end is stopped, and that is said", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hearth-smi-"));
    try {
      const program = join(folder, "nvidia-smi");
      writeFileSync(program, "#!/bin/sh\nexec yes\n", { mode: 0o755 });
      const run = querySmi(program, new AbortController().signal, 60_000);
      expect(await run.answer).toEqual({ type: "failed", reason: "nvidia-smi does not stop talking" });
      await run.gone;
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("figures that a card does not tell are zero, and its name may hold a comma", () => {
    const line = "1, GPU-b, 0:1:0.0, [N/A], [Not Supported], [N/A], [N/A], 470, GeForce, special edition";
    expect(parseSmi(line).cards).toMatchObject([
      { model: "GeForce, special edition", memoryBytes: 0, computePercent: 0 },
    ]);
    expect(parseSmi(line).cards[0]).not.toHaveProperty("fault");
  });

  test.each([
    ["memory errors", GPU0.replace("73, 0,", "73, 3,"), "3 uncorrected memory errors"],
    ["a lost card", GPU0.replace("73", "[GPU is lost]"), "GPU is lost"],
    ["an unknown error", GPU0.replace("73", "[Unknown Error]"), "Unknown Error"],
  ])("%s make it unhealthy", (_, line, reason) => {
    expect(parseSmi(line).cards[0]?.fault).toContain(reason);
  });

  test("a row without a UUID is a card that cannot be read; other lines are no cards", () => {
    const text = `Unable to determine the device handle for GPU 0000:0B:00.0: GPU is lost.\n${GPU0.replace("GPU-aaaa", "[GPU is lost]")}\n\n`;
    expect(parseSmi(text)).toMatchObject({ cards: [], unreadable: [{ index: 0 }] });
    expect(
      parseSmi("NVIDIA-SMI has failed, because it couldn't communicate, with, the, driver, at, all, x"),
    ).toMatchObject({ cards: [], unreadable: [] });
  });
});

describe("a run of nvidia-smi", () => {
  const never = new AbortController().signal;

  test("a program that is not there, and one that fails, say so", async () => {
    expect(await querySmi("no-such-nvidia-smi", never, 60_000).answer).toEqual({
      type: "failed",
      reason: "nvidia-smi is not there",
    });
    expect(await querySmi("false", never, 60_000).answer).toEqual({
      type: "failed",
      reason: "nvidia-smi ended with 1",
    });
  });
});
