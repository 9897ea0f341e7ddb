import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startDaemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const GIVEN = {
  uuid: "9f0c2d6e-1111-4222-8333-444455556666",
  redis_streams: ["fast_lane", "slow_lane"],
  redis_consumer_group: "crew",
  redis_consumer_name: "seventh",
};

test("I2: a host reads exactly the streams that the API names, in its group and under its name", async () => {
  await using world = await StreamWorld.open();
  const asked: string[] = [];
  const api = createServer((request, response) => {
    asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
    request.resume();
    response.writeHead(202, { "content-type": "application/json" }).end(JSON.stringify(GIVEN));
  });
  api.listen(0, "127.0.0.1");
  await once(api, "listening");
  try {
    const { port } = api.address() as AddressInfo;
    const more = { registration: "api", api_url: `http://127.0.0.1:${port}` };
    // In the queue before the host comes: it would find one on a stream that it reads.
    await world.writeInput("stray");
    await world.add("shell", { id: "stray", task_dir: "t/stray", method: "test.noop" });
    await using host = await startDaemon({
      config: world.config("here", more),
      stateDir: join(world.folder, "here"),
    });
    for (const lane of GIVEN.redis_streams) {
      await world.writeInput(lane);
      const entry = { id: lane, task_dir: `t/${lane}`, method: "test.noop", executer_type: "shell" };
      await world.redis.ask("XADD", lane, "*", ...Object.entries(entry).flat());
    }
    for (const lane of GIVEN.redis_streams) {
      const end = await world.ending(lane);
      expect(end, host.log().slice(-2000)).toMatchObject({ json: { status: "success" } });
      const consumers = (await world.redis.ask("XINFO", "CONSUMERS", lane, GIVEN.redis_consumer_group)) as [
        string,
        string,
      ][];
      expect(consumers.map(([, name]) => name)).toEqual([GIVEN.redis_consumer_name]);
    }
    expect(asked).toEqual(["POST /executers/register"]);
    expect(await world.eventsOf("stray")).toEqual([]);
    expect(await world.redis.ask("XINFO", "GROUPS", "shell_requests")).toEqual([]);
    expect(await host.end("SIGTERM")).toBe(0);
  } finally {
    api.close();
    api.closeAllConnections();
  }
}, 120_000);
