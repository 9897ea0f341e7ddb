import { expect, test } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import { EngineError } from "../engine/engine-error.ts";
import { findLogin } from "./credentials.ts";
import { PullStreamError, pullFailure } from "./pull-failure.ts";
import { PullTally } from "./pull-progress.ts";

const AUTH = Buffer.from("me:pass:word").toString("base64");

test.each([
  ["host:5000", { "host:5000": { auth: AUTH } }],
  ["host:5000", { "https://host:5000": { auth: AUTH } }],
  ["docker.io", { "https://index.docker.io/v1/": { auth: AUTH } }],
  ["host:5000", { "host:5000": { username: "me", password: "pass:word" } }],
])("the login for %s is found", (domain, auths) => {
  expect(findLogin({ auths }, domain)).toMatchObject({ username: "me", password: "pass:word" });
});

test.each([
  null,
  1,
  {},
  { auths: null },
  { auths: { other: { auth: AUTH } } },
  { auths: { "host:5000": {} } },
])("a configuration without a login for the registry gives none (%j)", (config) => {
  expect(findLogin(config, "host:5000")).toBeUndefined();
});

test("a token stands for itself", () => {
  const auths = { "host:5000": { auth: AUTH, identitytoken: "t" } };
  expect(findLogin({ auths }, "host:5000")).toEqual({ identitytoken: "t", serveraddress: "host:5000" });
});

test.each([
  [
    404,
    "pull access denied for x, repository does not exist or may require 'docker login'",
    "IMAGE_NOT_FOUND",
  ],
  [404, "manifest for x:1 not found: manifest unknown: manifest unknown", "IMAGE_NOT_FOUND"],
  [404, "no matching manifest for linux/amd64 in the manifest list entries", "IMAGE_UNUSABLE"],
  [
    500,
    "Get https://nowhere.example/v2/: dial tcp: lookup nowhere.example: no such host",
    "IMAGE_PULL_FAILED",
  ],
  [500, "toomanyrequests: slow down", "IMAGE_PULL_FAILED"],
  [500, "unauthorized: authentication required", "IMAGE_PULL_FAILED"],
  [500, "write /var/lib/docker/tmp/x: no space left on device", "DISK_FULL"],
])("C9: status %i with %j is %s", (status, reason, code) => {
  const failure = pullFailure("x:1", new EngineError("pull", status, reason, undefined));
  expect(failure.code).toBe(code);
  expect(failure.message).toContain("x:1");
});

test("what a pull's own progress says is sorted in the same way", () => {
  expect(pullFailure("x:1", new PullStreamError("manifest unknown")).code).toBe("IMAGE_NOT_FOUND");
  const own = new ExecutorError("ENGINE_UNAVAILABLE");
  expect(pullFailure("x:1", own)).toBe(own);
});

test("progress is the sum over all layers known so far, and never more than there is", () => {
  const tally = new PullTally("x:1");
  expect(tally.progress()).toEqual({ image: "x:1", doneBytes: 0, totalBytes: 0 });
  tally.see({ id: "a", status: "Downloading", progressDetail: { current: 10, total: 100 } });
  tally.see({ id: "b", status: "Downloading", progressDetail: { current: 5, total: 50 } });
  expect(tally.progress()).toMatchObject({ doneBytes: 15, totalBytes: 150 });
  tally.see({ id: "a", status: "Download complete" });
  tally.see({ id: "b", status: "Extracting", progressDetail: { current: 1, total: 50 } });
  tally.see({ status: "Digest: sha256:x" });
  expect(tally.progress()).toMatchObject({ doneBytes: 105, totalBytes: 150 });
});
