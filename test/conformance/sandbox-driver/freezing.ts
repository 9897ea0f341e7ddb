import { expect, test } from "vitest";
import type { Scene } from "./scene.ts";
import { neverAborted } from "./scene.ts";

/** What `freeze` and `thaw` promise where the driver offers them. */
export function testFreezing(scene: Scene): void {
  test("no code runs while a sandbox is frozen, and its answer comes after it has thawed", async ({
    skip,
  }) => {
    if (!scene.driver.capabilities.canFreeze) skip("this driver cannot freeze");
    const sandbox = await scene.start(scene.image("echo", skip));
    await scene.wait(sandbox.freeze(neverAborted()));
    const before = await scene.wait(sandbox.usage(neverAborted()));
    const answer = scene.post(sandbox, "patience");
    const first = await Promise.race([answer, scene.elapse(500).then(() => "nothing came")]);
    expect(first).toBe("nothing came");
    const after = await scene.wait(sandbox.usage(neverAborted()));
    expect(after.cpuMs).toBe(before.cpuMs);
    await scene.wait(sandbox.thaw(neverAborted()));
    expect(await answer).toEqual({ status: 200, body: "patience" });
  });

  test("a sandbox may be frozen and thawed again and again", async ({ skip }) => {
    if (!scene.driver.capabilities.canFreeze) skip("this driver cannot freeze");
    const sandbox = await scene.start(scene.image("echo", skip));
    for (const body of ["one", "two", "three"]) {
      await scene.wait(sandbox.freeze(neverAborted()));
      await scene.wait(sandbox.thaw(neverAborted()));
      expect(await scene.post(sandbox, body)).toEqual({ status: 200, body });
    }
  });

  test.for(["echo", "ignoresTerm"] as const)(
    "a frozen sandbox can be stopped (%s)",
    async (behaviour, { skip }) => {
      if (!scene.driver.capabilities.canFreeze) skip("this driver cannot freeze");
      const sandbox = await scene.start(scene.image(behaviour, skip));
      await scene.wait(sandbox.freeze(neverAborted()));
      await scene.wait(sandbox.stop(300));
      expect(await scene.wait(sandbox.ended)).toEqual({ type: "stopped" });
      await scene.untilNothingRemains();
    },
  );
}
