import { afterAll, beforeAll, describe } from "vitest";
import { describeJobSource } from "../conformance/job-source.ts";
import { OTHER_SERVERS, otherServer, whyNoOtherServer } from "../support/other-redis.ts";
import { openPrivateRedis, type PrivateRedis } from "../support/private-redis.ts";
import { worldOn } from "../support/redis-world.ts";

// The oldest server that the queue promises to work on, and the newest of the other branch.
for (const name of OTHER_SERVERS) {
  const reason = await whyNoOtherServer(name);
  describe.skipIf(reason !== undefined)(`on ${name}${reason === undefined ? "" : ` (${reason})`}`, () => {
    let redis: PrivateRedis;

    beforeAll(async () => {
      redis = await openPrivateRedis({ program: await otherServer(name) });
    });

    afterAll(async () => {
      await redis[Symbol.asyncDispose]();
    });

    describeJobSource(name, async (leaseMs) => worldOn(redis, leaseMs));
  });
}
