import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openPressure } from "./pressure.ts";

test("pressure is read in seconds, for the resources that the kernel tells of", () => {
  const folder = mkdtempSync(join(tmpdir(), "hearth-pressure-"));
  writeFileSync(
    join(folder, "memory"),
    "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=40\n",
  );
  writeFileSync(join(folder, "cpu"), "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
  {
    using pressure = openPressure(folder);
    expect(pressure.read()).toEqual([
      { resource: "cpu", stall: "some", stalledSeconds: 0.000007 },
      { resource: "memory", stall: "some", stalledSeconds: 2.5 },
      { resource: "memory", stall: "full", stalledSeconds: 0.00004 },
    ]);
  }
  rmSync(folder, { recursive: true });
});

test("a kernel that does not tell has no pressure, and that is no error", () => {
  using pressure = openPressure("/nonexistent");
  expect(pressure.read()).toEqual([]);
});
