import { expect, test } from "vitest";
import type { Leftover, SandboxDriver } from "../../../src/core/index.ts";
import type { SandboxDriverHarness } from "./harness.ts";
import type { Scene } from "./scene.ts";
import { neverAborted, useScene } from "./scene.ts";

/** What the next life of an owner finds. Each test opens a harness of its own, because it ends a driver's life. */
export function testLeftovers(openHarness: () => Promise<SandboxDriverHarness>): void {
  const scene = useScene(openHarness);

  test("the next life finds what the last one left, and reaping it leaves nothing", async ({ skip }) => {
    const { life, found, sandboxId } = await nextLife(scene, skip);
    await using _ = life;
    expect(found.map((leftover) => leftover.sandboxId)).toEqual([sandboxId]);
    for (const leftover of found) await scene.wait(leftover.reap(neverAborted()));
    await scene.untilNothingRemains();
    expect(await scene.wait(life.leftovers(neverAborted()))).toEqual([]);
  });
}

/** The same, for drivers whose sandboxes outlive the daemon. */
export function testAdoption(openHarness: () => Promise<SandboxDriverHarness>): void {
  const scene = useScene(openHarness);

  test("a healthy sandbox of the last life is taken over and answers as before", async ({ skip }) => {
    if (!scene.driver.capabilities.canAdopt) skip("sandboxes of this driver end with the daemon");
    const { life, found } = await nextLife(scene, skip);
    await using _ = life;
    const leftover = only(found);
    const sandbox = await scene.wait(leftover.adopt(neverAborted()));
    expect(sandbox.task).toEqual(leftover.task);
    expect(await scene.post(sandbox, "still here")).toEqual({ status: 200, body: "still here" });
    await scene.wait(sandbox.stop(2000));
    expect(await scene.wait(sandbox.ended)).toEqual({ type: "stopped" });
    await scene.untilNothingRemains();
  });
}

/** What one owner's driver must not touch. */
export function testStrangers(openHarness: () => Promise<SandboxDriverHarness>): void {
  const scene = useScene(openHarness);

  test("another owner's sandboxes are no leftovers and live on", async ({ skip }) => {
    const { openStranger } = scene.harness;
    if (openStranger === undefined) {
      skip("this harness has no second owner");
      return;
    }
    const sandbox = await scene.start(scene.image("echo", skip));
    await using stranger = await openStranger.call(scene.harness);
    expect(await scene.wait(stranger.leftovers(neverAborted()))).toEqual([]);
    expect(await scene.post(sandbox, "untouched")).toEqual({ status: 200, body: "untouched" });
  });

  test("a driver's own running sandboxes are no leftovers", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("echo", skip));
    expect(await scene.wait(scene.driver.leftovers(neverAborted()))).toEqual([]);
    expect(await scene.post(sandbox, "mine")).toEqual({ status: 200, body: "mine" });
  });
}

async function nextLife(
  scene: Scene,
  skip: (note: string) => void,
): Promise<{
  readonly life: SandboxDriver;
  readonly found: readonly Leftover[];
  readonly sandboxId: string;
}> {
  const { reopen } = scene.harness;
  if (reopen === undefined) skip("this harness has no second life");
  const sandbox = await scene.start(scene.image("echo", skip));
  scene.release(sandbox);
  const life = await (reopen as () => Promise<SandboxDriver>).call(scene.harness);
  return { life, found: await scene.wait(life.leftovers(neverAborted())), sandboxId: sandbox.id };
}

function only<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined || list.length !== 1) throw new Error(`one was expected, not ${list.length}`);
  return one;
}
