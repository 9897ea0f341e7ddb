import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { parseNode } from "./stream-section.ts";

function load(env: Readonly<Record<string, string>>) {
  return loadConfig({ env: { HOME: "/nobody", ...env }, cwd: "/nobody", isRoot: false });
}

test("the variables of the original are names of ours, and weaker", () => {
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
