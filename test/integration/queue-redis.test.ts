import { afterAll, beforeAll } from "vitest";
import { describeJobSource } from "../conformance/job-source.ts";
import { openPrivateRedis, type PrivateRedis } from "../support/private-redis.ts";
import { worldOn } from "../support/redis-world.ts";

let redis: PrivateRedis;

beforeAll(async () => {
  redis = await openPrivateRedis();
});

afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

describeJobSource("redis", async (leaseMs) => worldOn(redis, leaseMs));
