import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scrape } from "../support/exposition.ts";
import { freshName } from "../support/fresh-name.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";
import { rowWithin } from "../support/slack.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const reason = whyNoEngine();
/** The row's own bound. */
const TOLD_WITHIN_MS = rowWithin(10_000);

describe.skipIf(reason !== undefined)(reason ?? "the monitor door while the engine comes and goes", () => {
  let engine: PrivateEngine;
  beforeAll(async () => {
    engine = await openPrivateEngine();
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  const start = (waits: boolean): Promise<Daemon> => {
    const owner = freshName("monitor");
    return startDaemon({
      waits,
      config: `driver: docker\ndocker: {network_range: ${rangeOf(owner, 20)}, owner: ${owner}, networks_ahead: 0}\n`,
      env: { DOCKER_HOST: `unix://${engine.socketPath}` },
    });
  };

  const ask = async (daemon: Daemon, path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`${daemon.monitorUrl}${path}`, { signal: AbortSignal.timeout(30_000) });
    return { status: answer.status, text: await answer.text() };
  };
  /** Until the path answers that status. */
  const until = (daemon: Daemon, path: string, status: number, withinMs?: number): Promise<void> =>
    poll(
      `${path} answers ${status}`,
      async () => {
        const answer = await ask(daemon, path).catch((error: unknown) => ({
          status: 0,
          text: String(error),
        }));
        return answer.status === status || JSON.stringify(answer);
      },
      withinMs,
    );

  test("X2: the start is told as 503 while it goes on, and as 200 once calls are taken", async () => {
    await engine.standStill();
    await using daemon = await start(false);
    try {
      await until(daemon, "/monitoring/startup", 503);
      expect(await ask(daemon, "/monitoring/startup")).toEqual({ status: 503, text: '{"status":"nok"}' });
      expect((await ask(daemon, "/monitoring/health")).text).toBe(
        '{"status":"nok","message":"executor: it has not started yet","checker":"GenericHealthChecker"}',
      );
      expect((await ask(daemon, "/readyz")).status).toBe(503);
      expect((await ask(daemon, "/livez")).status).toBe(200);
      expect((await ask(daemon, "/metrics")).status).toBe(503);
      expect((await ask(daemon, "/state/reported")).text).toBe("No state reported so far");
    } finally {
      engine.goOn();
    }
    await until(daemon, "/monitoring/startup", 200);
    await until(daemon, "/monitoring/health", 200);
  }, 180_000);

  test("X2: with the engine stopped the start stays 200 and health says why not; both are well again by themselves", async () => {
    await using daemon = await start(true);
    await until(daemon, "/monitoring/health", 200);
    expect((await scrape(daemon.monitorUrl)).value("hearth_engine_up")).toBe(1);

    await engine.stop();
    await until(daemon, "/monitoring/health", 503, TOLD_WITHIN_MS);
    const ill = JSON.parse((await ask(daemon, "/monitoring/health")).text) as Record<string, string>;
    expect(Object.keys(ill)).toEqual(["status", "message", "checker"]);
    expect([ill["status"], ill["message"]]).toEqual(["nok", expect.stringMatching(/^engine: \S.{10,}/)]);
    expect(await ask(daemon, "/monitoring/startup")).toEqual({ status: 200, text: '{"status":"ok"}' });
    expect((await ask(daemon, "/livez")).status).toBe(200);
    const stopped = await scrape(daemon.monitorUrl);
    expect(stopped.value("hearth_engine_up")).toBe(0);
    expect(stopped.value("hearth_engine_errors_total", { verb: "health" })).toBeGreaterThan(0);

    await engine.start();
    await until(daemon, "/monitoring/health", 200, TOLD_WITHIN_MS);
    expect((await ask(daemon, "/healthz?verbose")).text).toContain("[+]engine ok");
  }, 600_000);
});
