import { expect, test } from "vitest";
import type { Scene } from "./scene.ts";

/** How a sandbox's end is told, and what `stop` promises. */
export function testEnding(scene: Scene): void {
  test("a task that exits while it serves ends with its exit code", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("crashes", skip));
    await expect(scene.post(sandbox, "x")).rejects.toThrow();
    expect(await scene.wait(sandbox.ended)).toEqual({ type: "exited", exitCode: 7 });
  });

  test("a task that takes more memory than it was given ends for that reason", async ({ skip }) => {
    if (!scene.harness.enforcesMemory) skip("memory limits are not enforced here");
    const sandbox = await scene.start(scene.image("eatsMemory", skip));
    await expect(scene.post(sandbox, "x")).rejects.toThrow();
    expect(await scene.wait(sandbox.ended)).toEqual({
      type: "memory",
      limitBytes: sandbox.task.resources.memoryBytes,
    });
  });

  test("a task killed from outside has not been stopped by us", async ({ skip }) => {
    const { killFromOutside } = scene.harness;
    if (killFromOutside === undefined) {
      skip("this harness cannot kill from outside");
      return;
    }
    const sandbox = await scene.start(scene.image("echo", skip));
    await killFromOutside.call(scene.harness, sandbox);
    expect((await scene.wait(sandbox.ended)).type).toMatch(/^(signalled|exited|lost)$/);
  });

  test("stop ends the sandbox, says that we did it, and leaves nothing", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("echo", skip));
    await scene.wait(sandbox.stop(5000));
    expect(await scene.wait(sandbox.ended)).toEqual({ type: "stopped" });
    await expect(scene.post(sandbox, "x")).rejects.toThrow();
    await scene.untilNothingRemains();
  });

  test("stop may be called twice at once and again afterwards", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("echo", skip));
    await scene.wait(Promise.all([sandbox.stop(5000), sandbox.stop(5000)]));
    await scene.wait(sandbox.stop(0));
    await scene.untilNothingRemains();
  });

  test("a task that ignores being asked is killed after its grace", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("ignoresTerm", skip));
    await scene.wait(sandbox.stop(300));
    expect(await scene.wait(sandbox.ended)).toEqual({ type: "stopped" });
    await scene.untilNothingRemains();
  });

  test("stopping what has ended by itself keeps the first cause and leaves nothing", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("crashes", skip));
    await expect(scene.post(sandbox, "x")).rejects.toThrow();
    await scene.wait(sandbox.ended);
    await scene.wait(sandbox.stop(5000));
    expect(await scene.wait(sandbox.ended)).toEqual({ type: "exited", exitCode: 7 });
    await scene.untilNothingRemains();
  });
}
