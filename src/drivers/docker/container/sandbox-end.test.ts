import { expect, test } from "vitest";
import { sandboxEnd } from "./sandbox-end.ts";

test.each([
  [0, false, { type: "exited", exitCode: 0 }],
  [42, false, { type: "exited", exitCode: 42 }],
  [139, false, { type: "signalled", signal: "SIGSEGV" }],
  [137, false, { type: "signalled", signal: "SIGKILL" }],
  [137, true, { type: "memory", limitBytes: 7 }],
  [1, true, { type: "memory", limitBytes: 7 }],
  [255, false, { type: "exited", exitCode: 255 }],
  // A child was killed for memory and the task coped with it: it ended well.
  [0, true, { type: "exited", exitCode: 0 }],
])("D5: exit code %i, out of memory %s", (exitCode, wasOutOfMemory, end) => {
  expect(sandboxEnd({ exitCode, wasOutOfMemory, memoryLimitBytes: 7 })).toEqual(end);
});
