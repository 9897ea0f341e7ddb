import { expect, test } from "vitest";
import { workerEnvironment } from "./worker-environment.ts";

const NAMES = { executorId: "e1", containerId: "c1" };
const OWN = { INDEXIFY_EXECUTOR_ID: "e1", INDEXIFY_FE_ID: "c1", PYTHONFAULTHANDLER: "1" };

test("a worker inherits what is harmless; the daemon's settings and keys to the cloud stay here", () => {
  const inherited = {
    PATH: "/bin",
    REGION: "eu",
    AWS_REGION: "eu-1",
    HEARTH_STREAM_REDIS_PASSWORD: "p",
    AWS_ACCESS_KEY_ID: "a",
    AWS_SECRET_ACCESS_KEY: "s",
    AWS_SESSION_TOKEN: "t",
    AWS_CONTAINER_CREDENTIALS_FULL_URI: "u",
    GOOGLE_APPLICATION_CREDENTIALS: "/g.json",
    NOTIFY_SOCKET: "/run/n",
    GONE: undefined,
  };
  expect(workerEnvironment(NAMES, inherited, {})).toEqual({
    PATH: "/bin",
    REGION: "eu",
    AWS_REGION: "eu-1",
    ...OWN,
  });
});

test("a secret comes by name, also one that is withheld otherwise; one that is not there is left out", () => {
  const secrets = { AWS_ACCESS_KEY_ID: "mine", NONE: undefined };
  expect(workerEnvironment(NAMES, {}, secrets)).toEqual({ AWS_ACCESS_KEY_ID: "mine", ...OWN });
});

test("nobody but us says whose worker it is", () => {
  const told = { INDEXIFY_FE_ID: "another" };
  expect(workerEnvironment(NAMES, told, told)).toEqual(OWN);
});
