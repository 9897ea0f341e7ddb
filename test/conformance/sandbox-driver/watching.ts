import { expect, test } from "vitest";
import type { LogChunk } from "../../../src/core/index.ts";
import { poll } from "../../support/poll.ts";
import type { Scene } from "./scene.ts";
import { neverAborted } from "./scene.ts";

/** Logs, usage and health. */
export function testWatching(scene: Scene): void {
  test("the log's tail holds what the task printed, and says if there was more", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("echo", skip));
    const whole = await scene.wait(sandbox.tailLog(65_536, neverAborted()));
    expect(whole.text).toContain("hello from echo");
    expect(whole.isTruncated).toBe(false);
    const end = await scene.wait(sandbox.tailLog(8, neverAborted()));
    expect(Buffer.byteLength(end.text)).toBeLessThanOrEqual(8);
    expect(end.isTruncated).toBe(true);
  });

  test("a flood of output neither blocks the task nor fills the daemon; its end is kept", async ({
    skip,
  }) => {
    const sandbox = await scene.start(scene.image("floods", skip));
    expect(await scene.post(sandbox, "x")).toEqual({ status: 200, body: "x" });
    let tail = await scene.wait(sandbox.tailLog(4096, neverAborted()));
    // It answers before all that it said before has come through an engine.
    await scene.wait(
      poll("its end has come", async () => {
        tail = await sandbox.tailLog(4096, neverAborted());
        return tail.text.includes("flood ends") || tail.text.slice(-100);
      }),
    );
    expect(tail.isTruncated).toBe(true);
    expect(Buffer.byteLength(tail.text)).toBeLessThanOrEqual(4096);
  });

  test("following a log shows its tail, then what comes, and ends with the sandbox", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("talks", skip));
    await scene.post(sandbox, "before");
    const log = collect(sandbox.followLog(65_536, neverAborted()));
    await scene.wait(log.until("said before"));
    await scene.post(sandbox, "after");
    await scene.wait(log.until("said after"));
    await scene.wait(sandbox.stop(2000));
    await scene.wait(log.done);
    expect(log.text().match(/said before/g)).toHaveLength(1);
    expect(log.text().match(/said after/g)).toHaveLength(1);
  });

  test("following a log ends when its signal aborts, and the sandbox goes on", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("talks", skip));
    const stop = new AbortController();
    const log = collect(sandbox.followLog(65_536, stop.signal));
    await scene.post(sandbox, "hello");
    await scene.wait(log.until("said hello"));
    stop.abort(new Error("seen enough"));
    // It may end or reject with the reason: both tell its reader that no more comes.
    await scene.wait(log.done.catch((error: unknown) => expect(error).toBe(stop.signal.reason)));
    expect(await scene.post(sandbox, "on")).toEqual({ status: 200, body: "on" });
  });

  test("usage counts CPU that never goes back, and memory", async ({ skip }) => {
    const sandbox = await scene.start(scene.image("echo", skip));
    const first = await scene.wait(sandbox.usage(neverAborted()));
    expect(first.memoryBytes).toBeGreaterThan(0);
    await scene.post(sandbox, "x");
    const second = await scene.wait(sandbox.usage(neverAborted()));
    expect(second.cpuMs).toBeGreaterThanOrEqual(first.cpuMs);
  });

  test("an open driver is healthy and says with what", async () => {
    // Rightly it is not while the machine stands still.
    await scene.wait(
      poll("it is healthy", async () => {
        const health = await scene.driver.health(neverAborted());
        return (health.isHealthy && health.detail !== "") || JSON.stringify(health);
      }),
    );
  });

  test("a peer from elsewhere is no task", () => {
    const peer = {
      remoteAddress: "192.0.2.7",
      remotePort: 40_000,
      localAddress: "192.0.2.1",
      localPort: 2591,
    };
    expect(scene.driver.isTaskAddress(peer)).toBe(false);
  });
}

/** Reads a followed log on the side. */
function collect(chunks: AsyncIterable<LogChunk>): {
  readonly done: Promise<void>;
  until(text: string): Promise<void>;
  text(): string;
} {
  let seen = "";
  let wake: () => void = () => undefined;
  const done = (async () => {
    for await (const chunk of chunks) {
      seen += chunk.text;
      wake();
    }
  })();
  return {
    done,
    text: () => seen,
    async until(text) {
      while (!seen.includes(text)) {
        const more = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const ended = done.then(() => {
          if (!seen.includes(text)) throw new Error(`the log ended without "${text}": ${seen}`);
        });
        await Promise.race([more, ended]);
      }
    },
  };
}
