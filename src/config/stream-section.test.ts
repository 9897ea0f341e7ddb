import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { parseNode } from "./stream-section.ts";

function load(env: Readonly<Record<string, string>>) {
  return loadConfig({ env: { HOME: "/nobody", ...env }, cwd: "/nobody", isRoot: false });
}

test("I11: the variables of the original are names of ours, and weaker", () => {
  const env = {
    API_URL: "http://api.example",
    REDIS_HOSTNAME: "r",
    REDIS_PORT: "7000",
    ARTIFACT_STORE: "s3://bucket/a",
    SHARED_DIR_HOST: "/h",
    SHARED_DIR_LOCAL: "/l",
    EXECUTER_DOCKER_IMAGES_CONFIG: "/old.json",
    RESOURCE_POOL: "11111111-2222-4333-8444-555555555555",
  };
  expect(load(env).loaded?.config.stream).toMatchObject({
    api_url: "http://api.example",
    redis: { host: "r", port: 7000 },
    artifact_store: "s3://bucket/a",
    shared_dir_host: "/h",
    shared_dir_local: "/l",
    images_file: "/old.json",
    resource_pool: "11111111-2222-4333-8444-555555555555",
    machine_group: "auto",
  });
  const both = load({ ...env, EXECUTERS_CONFIG: "/new.json", HEARTH_STREAM_API_URL: "http://ours" });
  expect(both.loaded?.config.stream).toMatchObject({ images_file: "/new.json", api_url: "http://ours" });
});

test("I11: without a word the queue is on Redis's own port, the store and the API are where the original had them", () => {
  expect(load({}).loaded?.config.stream).toMatchObject({
    redis: { host: "redis", port: 6379 },
    artifact_store: "/mnt/artifacts",
    api_url: "http://web",
  });
});

test("I17: a host runs one job at a time unless it is told to run more", () => {
  expect(load({}).loaded?.config.stream.concurrency).toBe(1);
  expect(load({ HEARTH_STREAM_CONCURRENCY: "4" }).loaded?.config.stream.concurrency).toBe(4);
});

test("a pool that is set to nothing is none, and one that is no UUID is refused", () => {
  expect(load({ RESOURCE_POOL: "" }).loaded?.config.stream.resource_pool).toBe("none");
  expect(load({}).loaded?.config.stream.resource_pool).toBe("auto");
  expect(load({ RESOURCE_POOL: "mine" }).faults).toMatchObject([{ key: "stream.resource_pool" }]);
  expect(load({ HEARTH_STREAM_RESOURCE_POOL: "" }).loaded?.config.stream.resource_pool).toBe("auto");
});

test("nodes are a host and a port, IPv6 in brackets", () => {
  expect(parseNode("a.example:26379")).toEqual({ host: "a.example", port: 26379 });
  expect(parseNode("[::1]:6379")).toEqual({ host: "::1", port: 6379 });
});

test("a job's folder is seen at a path of its own, and nowhere else", () => {
  const faultsOf = (place: string): number => load({ HEARTH_STREAM_WORKING_DIR: place }).faults.length;
  for (const place of ["/working_dir", "/home/runner/work", "/a..b/.c", "/w/"])
    expect([place, faultsOf(place)]).toEqual([place, 0]);
  for (const place of ["/", "//", "/.", "/a/..", "/./a", "/a//b", "work", "/a b", `/${"x".repeat(256)}`])
    expect([place, faultsOf(place)]).toEqual([place, 1]);
});
