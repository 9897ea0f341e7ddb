import { expect, test, vi } from "vitest";
import type { SandboxEnd } from "../../core/index.ts";
import { whyBroken } from "./why-broken.ts";

const broken = new Error("socket hang up");
const ENDED: SandboxEnd = { type: "exited", exitCode: 3 };

test("a standstill of the machine takes one step of the wait for a sandbox's end, not all of it", async () => {
  const endWithin = vi.fn<(waitMs: number) => Promise<SandboxEnd | undefined>>();
  endWithin.mockResolvedValueOnce(undefined).mockResolvedValue(ENDED);
  const why = await whyBroken({ endWithin, takesConnections: () => Promise.resolve(false) }, broken);
  expect(why).toMatchObject({ code: "TASK_EXITED", facts: { exitCode: 3 } });
});

test("a sandbox of whose end nothing is heard for 2.5 s is one whose connection broke", async () => {
  let waitedMs = 0;
  const endWithin = (waitMs: number): Promise<undefined> => {
    waitedMs += waitMs;
    return Promise.resolve(undefined);
  };
  const why = await whyBroken({ endWithin, takesConnections: () => Promise.resolve(false) }, broken);
  expect([why.code, waitedMs]).toEqual(["TASK_BROKE_OFF", 2500]);
});
