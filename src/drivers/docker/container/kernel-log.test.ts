import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { wasKilledForMemory } from "./kernel-log.ts";

const KILLED = "a1".repeat(32);
const NAMED = "b2".repeat(32);
const HELD = "c3".repeat(32);
const LINES = [
  `6,100,5000,-;docker0: port 1(veth${NAMED}) entered blocking state`,
  `6,101,5001,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=${KILLED},mems_allowed=0,oom_memcg=/docker/${KILLED},task_memcg=/docker/${KILLED},task=python3,pid=77,uid=0`,
  `6,102,5002,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/docker-${HELD}.scope,task_memcg=/system.slice/docker-${HELD}.scope,task=sh,pid=78,uid=0`,
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-kmsg-"));
  writeFileSync(join(folder, "kmsg"), `${LINES.join("\n")}\n`);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  ["a container whose process was killed", KILLED, true],
  ["one whose group systemd has named", HELD, true],
  ["one that is named elsewhere", NAMED, false],
  ["one that is not there", "d4".repeat(32), false],
])("%s: its group's name in the kernel's line decides", async (_, containerId, expected) => {
  expect(await wasKilledForMemory(containerId, join(folder, "kmsg"))).toBe(expected);
});

test("a log that is not there says nothing", async () => {
  expect(await wasKilledForMemory(KILLED, join(folder, "missing"))).toBe(false);
  expect(await wasKilledForMemory(KILLED, folder)).toBe(false);
});
