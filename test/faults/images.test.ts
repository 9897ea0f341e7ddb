import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TarFile } from "../../src/drivers/docker/network/tar.ts";
import type { Answer } from "../support/caller.ts";
import type { FaultDaemon, FaultHost } from "../support/fault-host.ts";
import { openFaultHost } from "../support/fault-host.ts";
import type { FaultProxy } from "../support/fault-proxy.ts";
import { openFaultProxy } from "../support/fault-proxy.ts";
import type { FaultRegistry, RegistryFault } from "../support/fault-registry.ts";
import { openFaultRegistry } from "../support/fault-registry.ts";
import { importImage, taskFiles } from "../support/images.ts";
import { judgeAtRest, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { SLACK } from "../support/slack.ts";

const reason = whyNoEngine();
const SERVES = `nc -ll -p 8080 -e /handler & server=$!
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done; echo meca-init-done; wait $server`;

describe.skipIf(reason !== undefined)(reason ?? "images that are missing, withheld or corrupt", () => {
  let host: FaultHost;
  let proxy: FaultProxy;
  let registry: FaultRegistry;
  let daemon: FaultDaemon;
  let books: ReturnType<typeof watchBooks>;

  beforeAll(async () => {
    host = await openFaultHost();
    proxy = await openFaultProxy(host.engine.socketPath);
    registry = await openFaultRegistry(SERVES);
    daemon = await host.start({
      socketPath: proxy.socketPath,
      config: "tasks: {stop_grace_s: 1, refresh_images: false, pull_timeout_s: 15, start_timeout_s: 60}",
    });
    books = watchBooks(daemon);
  }, 240_000);
  afterAll(async () => {
    // Whatever is judged, all of it ends.
    await using _host = host;
    await using _proxy = proxy;
    await using _registry = registry;
    await using _daemon = daemon;
    await books.stop();
    await host.judgeNetworks(daemon);
    await judgeAtRest(daemon);
    expect(await daemon.daemon.end("SIGTERM")).toBe(0);
    expect(await host.remainsOf(daemon.owner)).toEqual([]);
  }, 180_000);

  const call = async (image: string, signal?: AbortSignal): Promise<Answer> =>
    await daemon.caller.call(image, "body=here", { ...(signal && { signal }) });
  const at = (repository: RegistryFault | "nobody", tag = "1"): string =>
    `${registry.host}/${repository}:${tag}`;

  test("C9: a missing image, a missing registry, and one that refuses, fails, hangs or dies each end in time, with the cause", async () => {
    const nowhere = "127.0.0.1:1/x:1";
    const wanted: readonly (readonly [string, string, RegExp])[] = [
      [at("nobody"), "404 IMAGE_NOT_FOUND", /manifest unknown/],
      [nowhere, "502 IMAGE_PULL_FAILED", /connection refused/],
      [at("denied"), "502 IMAGE_PULL_FAILED", /unauthorized|no basic auth/],
      [at("limited"), "502 IMAGE_PULL_FAILED", /too many requests/],
      [at("broken"), "502 IMAGE_PULL_FAILED", /500 Internal Server Error/],
      [at("hangs"), "502 IMAGE_PULL_FAILED", /took too long|no progress/],
      [at("dies"), "502 IMAGE_PULL_FAILED", /took too long|no progress|EOF/],
    ];
    await Promise.all(
      wanted.map(async ([image, outcome, cause]) => {
        const { status, code, problem, ms } = await call(image);
        expect([image, `${status} ${code}`]).toEqual([image, outcome]);
        expect(problem?.detail).toContain(image);
        expect(problem?.detail).toMatch(cause);
        expect(ms).toBeLessThan(15_000 + 1000 * SLACK);
      }),
    );
  }, 180_000);

  test("C9: ten callers share one pull; the one that gives up does not take it from the others", async () => {
    const before = proxy.count("pull");
    const leaver = new AbortController();
    proxy.add({ verb: "pull", fault: { type: "delay", ms: 500 }, times: 1 });
    const image = at("good");
    const calls = Array.from({ length: 10 }, () => call(image));
    const left = call(image, leaver.signal);
    await poll("the pull has begun", () => proxy.count("pull") > before || "not yet");
    leaver.abort();
    expect((await left).status).toBe(0);
    for (const { status, text } of await Promise.all(calls)) expect([status, text]).toEqual([200, "here"]);
    expect(proxy.count("pull") - before).toBe(1);
  }, 180_000);

  test("C9: a registry that refuses again and again is asked ever more seldom", async () => {
    const image = at("limited", "2");
    const before = proxy.count("pull");
    const codes: string[] = [];
    const untilMs = performance.now() + 3000;
    while (performance.now() < untilMs || codes.length <= 10) {
      codes.push((await call(image)).code);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // Between two tries, which are those that were counted, it is told to come back later.
    expect(codes.filter((code) => code !== "START_BACKOFF").length).toBeLessThanOrEqual(5);
    expect(codes.length).toBeGreaterThan(10);
    expect(proxy.count("pull") - before).toBeLessThanOrEqual(5);
  });

  test("C10: images that cannot run say so, each with its cause, and are not tried over and over", async () => {
    const { docker } = host;
    const files = await taskFiles({ main: SERVES });
    const plain: TarFile = { path: "plain", content: Buffer.from("no program\n"), mode: 0o644 };
    const wanted: readonly (readonly [string, readonly TarFile[], readonly string[], RegExp])[] = [
      ["missing", files, ["/no/such/program"], /no such file/i],
      ["plain", [...files, plain], ["/plain"], /permission denied/i],
      ["folder", files, ["/bin"], /permission denied|is a directory/i],
      ["nothing", files, [], /no command specified/i],
    ];
    for (const [name, content, command] of wanted)
      await importImage(docker, `corrupt/${name}:1`, content, command);
    await Promise.all(
      wanted.map(async ([name, , , cause]) => {
        const { status, code, problem } = await call(`corrupt/${name}:1`);
        expect([name, status, code], problem?.detail).toEqual([name, 502, "IMAGE_UNUSABLE"]);
        expect([problem?.retry, problem?.fault]).toEqual(["never", "task"]);
        expect(problem?.detail).toMatch(cause);
      }),
    );
    const foreign = await call(at("foreign"));
    expect([foreign.status, foreign.code]).toEqual([502, "IMAGE_UNUSABLE"]);
    expect(foreign.problem?.detail).toContain("arm64");
    const wrong = await call(at("wrong"));
    expect([wrong.status, wrong.code]).toEqual([502, "IMAGE_PULL_FAILED"]);
    const before = proxy.count("create");
    for (let tries = 0; tries < 30; tries += 1) await call("corrupt/missing:1");
    // Each try may be made a second time in another network sandbox.
    expect(proxy.count("create") - before).toBeLessThanOrEqual(6);
  }, 180_000);
});
