import { expect, test } from "vitest";
import { isSpoken, WorkerVersions } from "./worker-versions.ts";

test("releases from 0.3.7 to 0.4.19 are understood, and what is no release is not judged", () => {
  for (const version of ["0.3.7", "0.3.40", "0.4.0", "0.4.19", "0.4.19rc1", "stub", ""])
    expect([version, isSpoken(version)]).toEqual([version, true]);
  for (const version of ["0.2.99", "0.3.6", "0.4.20", "0.4.32", "0.5.0", "0.5.162", "1.0.0"])
    expect([version, isSpoken(version)]).toEqual([version, false]);
});

test("a release that is not understood is told of once, however many workers are of it", () => {
  const told: unknown[] = [];
  const versions = new WorkerVersions({ log: (...entry) => told.push(entry) });
  for (const version of ["0.4.0", "0.5.162", "0.5.162", "0.5.163", "0.5.162"]) versions.note(version);
  const needed = "tensorlake 0.3.7 to 0.4.19";
  expect(told).toMatchObject([
    ["warn", "indexify.worker-version", { sdkVersion: "0.5.162", needed }],
    ["warn", "indexify.worker-version", { sdkVersion: "0.5.163", needed }],
  ]);
});
