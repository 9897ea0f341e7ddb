import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { claimOne, completed, STREAM_A } from "../conformance/job-source/world.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { eventsIn, pendingIn, redisHost } from "../support/redis-world.ts";
import { standStill } from "../support/stand-still.ts";

const PROGRAM = fileURLToPath(new URL("../support/queue-host.ts", import.meta.url));

test("F: a host that is stopped, and wakes after its lease, completes nothing", async () => {
  await using redis = await openPrivateRedis();
  await redis.ask("XADD", STREAM_A, "*", "id", "j");
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, String(redis.port), "sleeper"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe("claimed j 1");
    await standStill(child.pid!);
    await using other = redisHost("other", { settings: redis.settings });
    const claim = await claimOne(other);
    expect(claim).toMatchObject({ jobId: "j", attempt: 2, deaths: 1 });
    // It wakes while the other one is at work, and means to be done.
    child.stdin.write("commit\n");
    child.kill("SIGCONT");
    expect((await lines.next()).value).toBe("lost");
    await exited;
    expect(await eventsIn(redis.ask)).toEqual([]);
    expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
    expect(await other.commit(claim, completed("j", "other"))).toBe("committed");
    expect(await eventsIn(redis.ask)).toEqual(completed("j", "other").events);
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
});
