import { expect, test } from "vitest";
import type { ExecutorError } from "../../../src/core/index.ts";
import type { Scene } from "./scene.ts";
import { neverAborted } from "./scene.ts";

const NO_NAMES = [
  "",
  " ",
  "-rf",
  "../../etc/passwd",
  "/etc",
  "a b",
  "a\nb",
  "Upper/../case",
  "x".repeat(5000),
];

/** What `resolve` promises, and `checkImage`. */
export function testImages(scene: Scene): void {
  const resolve = (image: string, signal = neverAborted()) =>
    scene.wait(scene.driver.resolve(image, { refresh: "missing" }, signal));
  const failure = (image: string, signal?: AbortSignal): Promise<ExecutorError> =>
    resolve(image, signal).then(
      () => Promise.reject(new Error(`"${image}" was resolved`)),
      (error: unknown) => error as ExecutorError,
    );

  const foresee = (image: string): Promise<unknown> =>
    scene.wait(scene.driver.checkImage(image, neverAborted())).then(
      () => undefined,
      (error: unknown) => error,
    );

  test("one content has one digest", async ({ skip }) => {
    const image = scene.image("echo", skip);
    const [one, two] = await Promise.all([resolve(image), resolve(image)]);
    expect(one.digest).not.toBe("");
    expect(two.digest).toBe(one.digest);
  });

  test("a digest changes with the content", async ({ skip }) => {
    const image = scene.image("changing", skip);
    const { changeContent } = scene.harness;
    if (changeContent === undefined) skip("this harness cannot change an image");
    const before = await resolve(image);
    await changeContent?.call(scene.harness);
    const after = await scene.wait(scene.driver.resolve(image, { refresh: "moved" }, neverAborted()));
    expect(after.digest).not.toBe(before.digest);
    const sandbox = await scene.start(image);
    expect(sandbox.imageDigest).toBe(after.digest);
  });

  test("an unknown image is told by its name", async () => {
    const { unknownImage } = scene.harness;
    const error = await failure(unknownImage);
    expect(error.code).toMatch(/^(IMAGE_NOT_FOUND|TASK_NOT_FOUND)$/);
    expect(error.message).toContain(unknownImage);
  });

  test.each(NO_NAMES)(
    "M31: an id that is no image reference is refused and harms nothing (%j)",
    async (image) => {
      const error = await failure(image);
      expect(error.code).toMatch(/^(IMAGE_NAME_INVALID|IMAGE_NOT_FOUND|TASK_NOT_FOUND)$/);
    },
  );

  test.each(NO_NAMES)(
    "E: what no image can be called is foretold as it is refused, and nothing is fetched (%j)",
    async (image) => {
      const foretold = await foresee(image);
      expect(foretold).toMatchObject({ code: (await failure(image)).code });
    },
  );

  test("E: an image that is here is foretold to be there", async ({ skip }) => {
    expect(await foresee(scene.image("echo", skip))).toBeUndefined();
  });

  test("a resolve under a signal that has aborted already rejects with its reason", async ({ skip }) => {
    const reason = new Error("too late");
    expect(await failure(scene.image("echo", skip), AbortSignal.abort(reason))).toBe(reason);
  });
}
