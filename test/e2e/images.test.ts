import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildTaskImage } from "../support/images.ts";
import { ask, call, sandboxes } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import type { Registry } from "../support/registry.ts";
import { openRegistry, whyNoRegistry } from "../support/registry.ts";

const reason = whyNoEngine() ?? whyNoRegistry();
const SMALL = { resource: { cpu: 0.1, mem: 32 } };
/** The row says "within seconds", of a machine that does nothing else. */
const SECONDS_MS = 50_000;

describe.skipIf(reason !== undefined)(`images${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  let registry: Registry;
  /** Where the author of an image works: the daemon's engine sees of it only what the registry has. */
  let author: PrivateEngine;
  let daemon: HostedDaemon;

  beforeAll(async () => {
    [host, author, registry] = await Promise.all([openTestHost(), openPrivateEngine(), openRegistry()]);
    daemon = await host.start({ config: "cpu: 2\nmem: 1024\n" });
  }, 180_000);
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await Promise.all([host[Symbol.asyncDispose](), author[Symbol.asyncDispose]()]);
  }, 180_000);

  /** Pushes an image that answers with its version; the tag moves if it is there. */
  async function publish(name: string, version: string): Promise<string> {
    const docker = new Docker({ socketPath: author.socketPath });
    const built = await buildTaskImage(docker, `${name}-${version}`, {
      main: "nc -ll -p 8080 -e /handler & server=$!; echo meca-init-done; wait $server",
      reply: `body="version ${version}"`,
    });
    await docker.getImage(built).tag({ repo: `${registry.host}/${name}`, tag: "1" });
    const progress = await docker.getImage(`${registry.host}/${name}:1`).push({ authconfig: {} });
    for await (const chunk of progress) {
      if (String(chunk).includes('"error"')) throw new Error(`push of ${name}: ${String(chunk)}`);
    }
    return `${registry.host}/${name}:1`;
  }

  /** How often the daemon's engine has pulled an image, by its own count. */
  async function pulls(image: string): Promise<number> {
    const events = await host.docker.getEvents({
      since: 0,
      until: Math.ceil(Date.now() / 1000),
      filters: JSON.stringify({ type: ["image"], event: ["pull"], image: [image] }),
    });
    let text = "";
    for await (const chunk of events) text += String(chunk);
    return text.split("\n").filter((line) => line !== "").length;
  }

  /** @returns the answer's status, once all of it has come. */
  async function prefetch(image: string): Promise<number> {
    const answer = await fetch(`${daemon.baseUrl}/v1/images/prefetch`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ image }),
    });
    await answer.text();
    return answer.status;
  }

  async function evictAll(image: string): Promise<void> {
    for (const sandbox of await sandboxes(daemon)) {
      if (sandbox.image !== image) continue;
      const answer = await fetch(`${daemon.baseUrl}/v1/sandboxes/${sandbox.id}`, { method: "DELETE" });
      expect(answer.status).toBeLessThan(300);
    }
  }

  test("M26: ten first calls at once, of two sizes, pull an image that is only in a registry once", async () => {
    const image = await publish("shared", "one");
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        call(daemon, image, "x", { resource: { cpu: 0.1, mem: at % 2 === 0 ? 32 : 48 } }),
      ),
    );
    expect(answers.map(({ msg }) => msg)).toEqual(Array(10).fill("version one"));
    expect(new Set(answers.map(({ sandboxId }) => sandboxId)).size).toBe(2);
    expect(await pulls(image)).toBe(1);
  });

  test("M26: an unknown image is an error within seconds that names it, and holds nobody up", async () => {
    const image = `${registry.host}/nobody/nothing:1`;
    const answer = await call(daemon, image, "x", SMALL);
    expect(answer).toMatchObject({
      status: 200,
      success: false,
      msg: expect.stringContaining(image) as unknown,
    });
    expect(answer.headers.get("hearth-error")).toBe("IMAGE_NOT_FOUND");
    expect(answer.tookMs).toBeLessThan(SECONDS_MS);
    expect(await call(daemon, host.task, "next", SMALL)).toMatchObject({ success: true, msg: "next" });
  });

  test("M26: a registry that is not there is an error within seconds that names the image", async () => {
    const image = "127.0.0.1:1/account/image:1";
    const answer = await call(daemon, image, "x", SMALL);
    expect(answer).toMatchObject({
      status: 200,
      success: false,
      msg: expect.stringContaining(image) as unknown,
    });
    expect(answer.tookMs).toBeLessThan(SECONDS_MS);
  });

  test("M26: a moved tag is picked up by the next cold start, and not before", async () => {
    const image = await publish("moved", "one");
    expect(await call(daemon, image, "x", SMALL)).toMatchObject({ msg: "version one", start: "cold" });
    await publish("moved", "two");
    expect(await call(daemon, image, "x", SMALL)).toMatchObject({ msg: "version one", start: "warm" });
    await evictAll(image);
    expect(await call(daemon, image, "x", SMALL)).toMatchObject({ msg: "version two", start: "cold" });
  });

  test("M26: prefetch picks a moved tag up and retires the warm server of the old one", async () => {
    const image = await publish("prefetched", "one");
    expect(await prefetch(image)).toBe(200);
    expect(await pulls(image)).toBe(1);
    expect(await call(daemon, image, "x", SMALL)).toMatchObject({ msg: "version one", start: "cold" });
    await publish("prefetched", "two");
    expect(await prefetch(image)).toBe(200);
    expect(await call(daemon, image, "x", SMALL)).toMatchObject({ msg: "version two", start: "cold" });
    expect(await pulls(image)).toBe(2);
  });

  test("M26: with refresh_images off a cold start takes what is here, and prefetch still asks the registry", async () => {
    await using other = await host.start({ config: "cpu: 1\nmem: 128\ntasks:\n  refresh_images: false\n" });
    const image = await publish("kept", "one");
    expect((await call(other, image, "x", SMALL)).msg).toBe("version one");
    await publish("kept", "two");
    await ask(other, "/pause", "");
    await ask(other, "/unpause", "");
    expect(await call(other, image, "x", SMALL)).toMatchObject({ msg: "version one", start: "cold" });
    expect(await other.cli("prefetch", image)).toMatch(/^sha256:[0-9a-f]{64} fetched/);
    expect(await call(other, image, "x", SMALL)).toMatchObject({ msg: "version two", start: "cold" });
  });
});
