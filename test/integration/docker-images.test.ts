import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecutorError, PullProgress, SandboxDriver } from "../../src/core/index.ts";
import { never, openDockerWorld, startTask } from "../support/docker-world.ts";
import type { EngineProxy } from "../support/engine-proxy.ts";
import { openEngineProxy, PASS } from "../support/engine-proxy.ts";
import { importImage, taskFiles } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { openRegistry, type Registry, whyNoRegistry } from "../support/registry.ts";

const reason = whyNoEngine() ?? whyNoRegistry();

describe.skipIf(reason !== undefined)(reason ?? "images of the docker driver", () => {
  const closing: AsyncDisposable[] = [];
  const use = <T extends AsyncDisposable>(resource: T): T => {
    closing.push(resource);
    return resource;
  };
  let docker: Docker;
  let registry: Registry;
  let proxy: EngineProxy;
  let driver: SandboxDriver;
  const isPull = (call: { method: string; path: string }): boolean =>
    call.method === "POST" && call.path.startsWith("/images/create");
  const pulls = (): number => proxy.calls.filter(isPull).length;
  const fails = (image: string, by = driver): Promise<ExecutorError> =>
    by.resolve(image, { refresh: "missing" }, never()).then(
      () => Promise.reject(new Error("it was resolved")),
      (error: unknown) => error as ExecutorError,
    );

  beforeAll(async () => {
    const engine = use(await openPrivateEngine());
    docker = new Docker({ socketPath: engine.socketPath });
    registry = use(await openRegistry());
    proxy = use(await openEngineProxy(engine.socketPath));
    const world = use(openDockerWorld(proxy.socketPath));
    // Longer than a machine stands still, shorter than a test may take.
    driver = await world.open({ networksAhead: 0, pullStallMs: 30_000 });
  }, 240_000);
  afterAll(async () => {
    for (const resource of closing.reverse()) await resource[Symbol.asyncDispose]();
  });

  /** Puts a task that says `word` into the registry under this name, and takes it away from the engine. */
  async function publish(image: string, word: string): Promise<void> {
    await importImage(
      docker,
      image,
      await taskFiles({ main: `echo ${word}; echo meca-init-done; nc -ll -p 8080 -e /handler` }),
      ["/bin/sh", "/main"],
    );
    const pushed = await docker.getImage(image).push({ authconfig: { username: "", password: "" } });
    for await (const line of pushed) if (String(line).includes('"error"')) throw new Error(String(line));
    await docker.getImage(image).remove({ force: true });
  }

  /** As another host would: what `from` names in the registry, `to` names from now on. */
  async function moveTag(repository: string, from: string, to: string): Promise<void> {
    const type = "application/vnd.docker.distribution.manifest.v2+json";
    const at = (tag: string): string => `http://${registry.host}/v2/${repository}/manifests/${tag}`;
    const manifest = await (await fetch(at(from), { headers: { accept: type } })).text();
    const put = await fetch(at(to), { method: "PUT", headers: { "content-type": type }, body: manifest });
    expect(put.status).toBe(201);
  }

  test("M26: ten callers at once pull an image once, and all hear how far it is", async () => {
    const image = `${registry.host}/m26/once:1`;
    await publish(image, "one");
    const before = pulls();
    const heard: PullProgress[][] = [];
    const resolved = await Promise.all(
      Array.from({ length: 10 }, (_, index) => {
        heard[index] = [];
        const onProgress = (progress: PullProgress): void => void heard[index]?.push(progress);
        return driver.resolve(image, { refresh: "missing", onProgress }, never());
      }),
    );
    expect(pulls() - before).toBe(1);
    expect(new Set(resolved.map(({ digest }) => digest)).size).toBe(1);
    expect(resolved.every(({ wasPulled }) => wasPulled)).toBe(true);
    for (const progress of heard) expect(progress.at(-1)).toMatchObject({ image });
    expect(await driver.resolve(image, { refresh: "missing" }, never())).toMatchObject({ wasPulled: false });
    expect(pulls() - before).toBe(1);
  });

  test("M26: a moved tag is picked up when asked for, and only then", async () => {
    const image = `${registry.host}/m26/moves:1`;
    await publish(image, "one");
    await publish(`${registry.host}/m26/moves:2`, "two");
    const first = await driver.resolve(image, { refresh: "missing" }, never());
    await moveTag("m26/moves", "2", "1");
    expect(await driver.resolve(image, { refresh: "missing" }, never())).toEqual({
      ...first,
      wasPulled: false,
    });
    const moved = await driver.resolve(image, { refresh: "moved" }, never());
    expect(moved.wasPulled).toBe(true);
    expect(moved.digest).not.toBe(first.digest);
    expect(await driver.resolve(image, { refresh: "moved" }, never())).toEqual({
      ...moved,
      wasPulled: false,
    });
  });

  test("M26: when the registry cannot say whether a tag has moved, the image that is here serves, and it is not asked again soon", async () => {
    const image = `${registry.host}/m26/stays:1`;
    await publish(image, "one");
    await using world = openDockerWorld(proxy.socketPath);
    const offline = await world.open({ networksAhead: 0 });
    const { digest } = await offline.resolve(image, { refresh: "missing" }, never());
    const isQuestion = (call: { path: string }): boolean => call.path.startsWith("/distribution/");
    const asked = (): number => proxy.calls.filter(isQuestion).length;
    const before = asked();
    proxy.decide = (call) => (isQuestion(call) ? { type: "hang" } : PASS);
    for (const _ of [1, 2, 3]) {
      expect(await offline.resolve(image, { refresh: "moved" }, never())).toEqual({
        digest,
        wasPulled: false,
      });
    }
    expect(asked() - before).toBe(1);
    proxy.decide = () => PASS;
  });

  test("A6: a driver that closes gives its pulls up", async () => {
    await using world = openDockerWorld(proxy.socketPath);
    const short = await world.open({ networksAhead: 0 });
    proxy.decide = (call) =>
      isPull(call) ? { type: "answer", status: 200, body: '{"status":"Pulling"}\n', thenHang: true } : PASS;
    const before = pulls();
    const waiting = short.resolve(`${registry.host}/m26/long:1`, { refresh: "missing" }, never());
    const failed = expect(waiting).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
    await poll("the pull is under way", () => pulls() > before || "not yet");
    await short[Symbol.asyncDispose]();
    await failed;
    proxy.decide = () => PASS;
  });

  test("M26: an image that is not in its registry is told by its name", async () => {
    const image = `${registry.host}/m26/nothing:1`;
    const error = await fails(image);
    expect(error.code).toBe("IMAGE_NOT_FOUND");
    expect(error.message).toContain(image);
  });

  test("a registry that nobody runs is a failed pull with its cause, not an unknown image", async () => {
    for (const host of ["127.0.0.1:9", "registry.invalid"]) {
      const error = await fails(`${host}/x:1`);
      expect(error.code).toBe("IMAGE_PULL_FAILED");
      expect(error.message).toContain(`${host}/x:1`);
    }
  });

  test("a name that the engine does not take is not told as the engine's failure", async () => {
    const error = await fails("UPPER/x:1");
    // Newer engines take such a word before a slash for the name of a registry.
    expect(["IMAGE_NAME_INVALID", "IMAGE_PULL_FAILED"]).toContain(error.code);
    expect(error.message).toContain("UPPER/x");
  });

  test("an id that no image has is unknown, and nothing is pulled", async () => {
    const before = pulls();
    expect((await fails(`sha256:${"0".repeat(64)}`)).code).toBe("IMAGE_NOT_FOUND");
    expect(pulls()).toBe(before);
  });

  test("an error inside the progress of a pull is noticed", async () => {
    proxy.decide = (call) =>
      isPull(call)
        ? {
            type: "answer",
            status: 200,
            body: '{"status":"Pulling"}\n{"error":"toomanyrequests: slow down"}\n',
          }
        : PASS;
    const error = await fails(`${registry.host}/m26/limited:1`);
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain("toomanyrequests");
  });

  test("a pull that shows no progress has failed", async () => {
    proxy.decide = (call) =>
      isPull(call) ? { type: "answer", status: 200, body: '{"status":"Pulling"}\n', thenHang: true } : PASS;
    await using world = openDockerWorld(proxy.socketPath);
    const impatient = await world.open({ networksAhead: 0, pullStallMs: 1000 });
    const error = await fails(`${registry.host}/m26/stalled:1`, impatient);
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain("no progress");
  });

  test("a caller who gives up leaves the pull to the others", async () => {
    const image = `${registry.host}/m26/patient:1`;
    await publish(image, "one");
    const before = pulls();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    proxy.decide = async (call) => {
      if (isPull(call)) await held;
      return PASS;
    };
    const impatient = new AbortController();
    const first = driver.resolve(image, { refresh: "missing" }, impatient.signal);
    const second = driver.resolve(image, { refresh: "missing" }, never());
    const cause = new Error("no longer wanted");
    impatient.abort(cause);
    await expect(first).rejects.toBe(cause);
    release();
    expect(await second).toMatchObject({ wasPulled: true });
    expect(pulls() - before).toBe(1);
  });

  test("a failed pull is tried anew by the next caller", async () => {
    const image = `${registry.host}/m26/again:1`;
    await publish(image, "one");
    let tries = 0;
    proxy.decide = (call) => {
      if (!isPull(call)) return PASS;
      tries += 1;
      return tries === 1 ? { type: "answer", status: 500, body: '{"message":"registry is tired"}' } : PASS;
    };
    expect(await fails(image)).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(await driver.resolve(image, { refresh: "missing" }, never())).toMatchObject({ wasPulled: true });
  });

  test("a registry's login goes with the pull and is read anew each time", async () => {
    proxy.decide = () => PASS;
    const path = join(proxy.socketPath, "..", "config.json");
    const auth = Buffer.from("me:secret").toString("base64");
    await writeFile(path, JSON.stringify({ auths: { [registry.host]: { auth } } }));
    await using world = openDockerWorld(proxy.socketPath);
    const knowing = await world.open({ networksAhead: 0, registryConfigPath: path });
    await expect(
      knowing.resolve(`${registry.host}/m26/private:1`, { refresh: "missing" }, never()),
    ).rejects.toThrow();
    const header = proxy.calls.filter(isPull).at(-1)?.headers["x-registry-auth"];
    const login: unknown = JSON.parse(Buffer.from(String(header), "base64url").toString());
    expect(login).toEqual({ username: "me", password: "secret", serveraddress: registry.host });
  });

  test("two accounts with one image name do not collide", async () => {
    proxy.decide = () => PASS;
    const images = [`${registry.host}/a/foo:1`, `${registry.host}/b/foo:1`];
    for (const image of images) await publish(image, image.split("/")[1] ?? "");
    const sandboxes = await Promise.all(images.map((image) => startTask(driver, image)));
    const words = await Promise.all(
      sandboxes.map(async (one) => (await one.tailLog(100, never())).text.split("\n")[0]),
    );
    expect(words).toEqual(["a", "b"]);
    for (const sandbox of sandboxes) {
      expect(sandbox.label).toMatch(/^mecanywhere_foo_1_0\.5_64_/);
      await sandbox.stop(0);
    }
  });
});
