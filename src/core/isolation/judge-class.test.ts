import { describe, expect, test } from "vitest";
import type { Judging } from "./judge-class.ts";
import { judgeClass } from "./judge-class.ts";
import { readFindings } from "./probe-findings.ts";

const GOOD = `connect 10.0.0.1:2591 111
kernel 6.1.0 #1 SMP
privilege 1 65534
who 65534 65534
at cpu
cpu 250000 62000 180000 75000
at pids
pids 255 11
at memory
memory 66000000 9
end
`;

function judging(text: string, change: Partial<Judging> = {}): Judging {
  return {
    isolation: "container",
    findings: readFindings(text),
    hostKernel: "6.1.0 #1 SMP",
    cpuMillis: 250,
    limits: "required",
    knownMissing: [],
    isTurnedAway: true,
    needsNoNewPrivileges: true,
    ...change,
  };
}

describe("what a test sandbox saw", () => {
  test("a container that keeps its promises is usable, without a remark", () => {
    expect(judgeClass(judging(GOOD))).toEqual({
      state: "usable",
      reasons: [],
      sight: {
        kernel: "6.1.0 #1 SMP",
        hasOwnKernel: false,
        enforced: ["cpu", "memory", "pids"],
        ignored: [],
        hasNoNewPrivileges: true,
        reachesExecutor: false,
      },
    });
  });

  test.each(["gvisor", "microVM"] as const)("F: %s on the host's own kernel is unusable", (isolation) => {
    const { state, reasons } = judgeClass(judging(GOOD, { isolation }));
    expect(state).toBe("unusable");
    expect(reasons.join()).toContain("no stronger than a container");
  });

  test.each(["gvisor", "microVM"] as const)("%s on another kernel is usable", (isolation) => {
    const other = GOOD.replace("6.1.0 #1 SMP", "4.4.0 #1 SMP 2016");
    expect(judgeClass(judging(other, { isolation }))).toMatchObject({
      state: "usable",
      sight: { hasOwnKernel: true },
    });
  });

  test("while the host's kernel is not known, nothing can be said to have another", () => {
    expect(judgeClass(judging(GOOD, { isolation: "gvisor", hostKernel: undefined })).state).toBe("unusable");
  });

  test.each([
    ["memory", GOOD.replace("memory 66000000 9", "memory 83886080 0")],
    ["pids", GOOD.replace("pids 255 11", "pids 300 0")],
    ["cpu", GOOD.replace("cpu 250000 62000 180000 75000", "cpu 250000 249000 0 90")],
  ])("E8: an ignored limit on %s makes it unusable, unless that is agreed to", (kind, text) => {
    expect(judgeClass(judging(text))).toMatchObject({ state: "unusable", sight: { ignored: [kind] } });
    const agreed = judgeClass(judging(text, { limits: "optional" }));
    expect(agreed).toMatchObject({ state: "usable", sight: { ignored: [kind] } });
    expect(agreed.reasons).toHaveLength(1);
    const known = judgeClass(judging(text, { knownMissing: ["cpu", "memory", "pids"] }));
    expect(known).toMatchObject({ state: "usable", sight: { ignored: [kind] } });
  });

  test("on a host too busy to give it its share, the CPU limit is neither kept nor broken", () => {
    const busy = GOOD.replace("cpu 250000 62000 180000 75000", "cpu 250000 60000 190000 12000");
    expect(judgeClass(judging(busy))).toMatchObject({
      state: "usable",
      sight: { enforced: ["memory", "pids"], ignored: [] },
    });
  });

  test("a spin that begins late in one of the kernel's periods and ends early in another is within its share", () => {
    // 25 ms in each of four periods, of which 250 ms may touch as many.
    const lucky = GOOD.replace("cpu 250000 62000 180000 75000", "cpu 250000 104000 146000 74000");
    expect(judgeClass(judging(lucky))).toMatchObject({
      state: "usable",
      sight: { enforced: ["cpu", "memory", "pids"] },
    });
  });

  test.each(["pids", "memory"])("a sandbox that dies of its limit on %s was limited", (stage) => {
    const until = GOOD.slice(0, GOOD.indexOf(`at ${stage}`) + `at ${stage}\n`.length);
    const { state, sight } = judgeClass(judging(until));
    expect(state).toBe("usable");
    expect(sight?.enforced).toContain(stage);
  });

  test("one that dies elsewhere, or says nothing, is unusable", () => {
    expect(judgeClass(judging(GOOD.slice(0, GOOD.indexOf("at cpu") + 7))).state).toBe("unusable");
    expect(judgeClass(judging(""))).toMatchObject({ state: "unusable", sight: undefined });
  });

  test("a setuid program that gains rights makes a container unusable, whatever the flag says", () => {
    const gained = GOOD.replace("who 65534 65534", "who 65534 0");
    expect(judgeClass(judging(gained))).toMatchObject({
      state: "unusable",
      sight: { hasNoNewPrivileges: false },
    });
    expect(judgeClass(judging(gained, { isolation: "process", needsNoNewPrivileges: false })).state).toBe(
      "usable",
    );
  });

  test("a door that can be reached is told, and is fatal where nothing else turns tasks away", () => {
    const open = GOOD.replace("connect 10.0.0.1:2591 111", "connect 10.0.0.1:2591 0");
    const told = judgeClass(judging(open));
    expect(told).toMatchObject({ state: "usable", sight: { reachesExecutor: true } });
    expect(told.reasons.join()).toContain("turn it away");
    expect(judgeClass(judging(open, { isTurnedAway: false })).state).toBe("unusable");
  });

  test.each([
    "",
    "x",
    "cpu a b c d",
    "memory",
    "pids 1",
    "kernel",
    "at",
    "connect",
    "\u0000",
    GOOD.repeat(3),
  ])("%j is read without a failure", (text) => {
    expect(() => judgeClass(judging(text))).not.toThrow();
  });
});
