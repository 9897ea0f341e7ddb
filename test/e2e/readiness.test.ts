import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BehaviourImages } from "../conformance/sandbox-driver/harness.ts";
import { buildBehaviourImages } from "../support/images.ts";
import { ask, call, stats } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const SMALL = { resource: { cpu: 0.1, mem: 32 } };
/** Long enough for a cold and a warm call beside a start that will come to nothing, on a machine that now and then stands still. */
const START_TIMEOUT_S = 20;

describe.skipIf(reason !== undefined)(`readiness${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  let images: BehaviourImages;
  let daemon: HostedDaemon;

  beforeAll(async () => {
    host = await openTestHost();
    images = await buildBehaviourImages(host.docker);
    daemon = await host.start({
      config: `cpu: 2\nmem: 1024\ntasks:\n  start_timeout_s: ${START_TIMEOUT_S}\n`,
    });
  }, 180_000);
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  }, 180_000);

  /** Containers of an image, by its name in theirs. */
  async function containersOf(name: string): Promise<readonly string[]> {
    const all = await host.containers(daemon);
    return all.filter((one) => one.name.includes(`_${name.toLowerCase()}_`)).map((one) => one.state);
  }

  async function nothingIsLeftOf(name: string): Promise<void> {
    await poll("nothing of it is left", async () => {
      const states = await containersOf(name);
      return states.length === 0 || states.join();
    });
  }

  test.each(["latePort", "markSplit", "markOnStderr", "slowStart"] as const)(
    "M27: a task of the kind %s is waited for until it accepts, and answers its first call",
    async (kind) => {
      expect(await call(daemon, images[kind], kind, SMALL)).toMatchObject({
        success: true,
        msg: kind,
        start: "cold",
      });
      expect(await call(daemon, images[kind], "again", SMALL)).toMatchObject({
        success: true,
        start: "warm",
      });
    },
  );

  test("M27: a task that accepts and never prints the mark is ready after a while, with a warning", async () => {
    const answer = await call(daemon, images.noMark, "x", SMALL);
    expect(answer).toMatchObject({ success: true, msg: "x" });
    const { json } = await ask(daemon, `/v1/sandboxes/${answer.sandboxId}`);
    expect((json as { warnings: string[] }).warnings.join()).toContain("meca-init-done");
  });

  test("M27: a task without a port ends as an error with its log, leaves nothing, and blocks no other task meanwhile", async () => {
    let isOver = false;
    const hopeless = call(daemon, images.noPort, "x", SMALL).finally(() => {
      isOver = true;
    });
    await poll("it starts", async () => (await containersOf("noPort")).length === 1 || "not yet");
    expect(await call(daemon, images.echo, "cold", SMALL)).toMatchObject({ success: true, start: "cold" });
    expect(await call(daemon, images.echo, "warm", SMALL)).toMatchObject({ success: true, start: "warm" });
    expect(isOver).toBe(false);
    const answer = await hopeless;
    expect(answer).toMatchObject({ status: 200, success: false });
    expect(answer.headers.get("hearth-error")).toBe("START_TIMEOUT");
    expect(answer.msg).toContain("no port here");
    await nothingIsLeftOf("noPort");
  });

  test("M27: a task that exits during its start ends as an error with its code and its log, and leaves nothing", async () => {
    const answer = await call(daemon, images.exitsAtStart, "x", SMALL);
    expect(answer).toMatchObject({ status: 200, success: false });
    expect(answer.headers.get("hearth-error")).toBe("SANDBOX_EXITED_EARLY");
    expect(answer.msg).toContain("42");
    expect(answer.msg).toContain("cannot begin");
    await nothingIsLeftOf("exitsAtStart");
  });

  test("M27: an image that cannot be run at all is a clear error", async () => {
    const answer = await call(daemon, images.unusable, "x", SMALL);
    expect(answer).toMatchObject({ status: 200, success: false });
    expect(answer.headers.get("hearth-error")).toBe("IMAGE_UNUSABLE");
    expect(answer.msg).toContain("/no/such/program");
  });

  test("M27: a crash loop is tried ever more seldom, each call ends, and other tasks go on as if nothing were", async () => {
    const codes: (string | null)[] = [];
    for (let round = 0; round < 20; round += 1) {
      const answer = await call(daemon, images.exitsAtStart, "x", { resource: { cpu: 0.2, mem: 32 } });
      expect(answer).toMatchObject({ status: 200, success: false });
      expect(answer.msg).not.toBe("");
      codes.push(answer.headers.get("hearth-error"));
      expect(await call(daemon, images.echo, "fine", SMALL)).toMatchObject({ success: true, start: "warm" });
    }
    const tried = codes.filter((code) => code === "SANDBOX_EXITED_EARLY").length;
    expect(tried).toBeGreaterThan(0);
    expect(tried).toBeLessThan(10);
    const others = codes.filter((code) => code !== "SANDBOX_EXITED_EARLY");
    expect(others).toEqual(others.map(() => "START_BACKOFF"));
    await nothingIsLeftOf("exitsAtStart");
  });

  test("M27: after all of these the books hold the warm servers and nothing else", async () => {
    // One that has been idle for long enough may go between the two looks.
    await poll("each of them holds a tenth of a core, which is 5 % of two", async () => {
      const warm = (await host.containers(daemon)).filter(({ state }) => state === "running").length;
      const { task_used_cpu: used = Number.NaN } = await stats(daemon);
      return (warm > 0 && Math.abs(used - warm * 5) < 1e-5) || `${warm} hold ${used}`;
    });
  });
});
