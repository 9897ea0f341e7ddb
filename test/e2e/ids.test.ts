import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importImage, taskFiles } from "../support/images.ts";
import { ask, call, stats } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import type { Registry } from "../support/registry.ts";
import { openRegistry, whyNoRegistry } from "../support/registry.ts";

const reason = whyNoEngine() ?? whyNoRegistry();
const SMALL = { resource: { cpu: 0.1, mem: 32 } };
const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

/** Ids that name no image here; some are no image references at all, and one tries to be a flag, a path, a query. */
const STRANGE: readonly string[] = [
  "_",
  ".",
  "-",
  "_x:1",
  ".x:1",
  "-x:1",
  "--privileged",
  "..",
  "../../etc/passwd",
  "/",
  "a//b",
  "x:",
  "x:-1",
  ":1",
  "@",
  `x@${DIGEST.slice(0, -1)}`,
  "x@md5:00",
  "UPPER/case:1",
  "x y",
  "x\ny",
  "x\u0000y",
  "ünï/cödé:1",
  "x?all=1",
  "x%2f..%2f..",
  "a".repeat(1024),
  "a".repeat(1025),
  `x:${"t".repeat(129)}`,
  DIGEST,
  DIGEST.slice("sha256:".length),
];

describe.skipIf(reason !== undefined)(`ids${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  let registry: Registry;
  let daemon: HostedDaemon;

  beforeAll(async () => {
    [host, registry] = await Promise.all([openTestHost(), openRegistry()]);
    daemon = await host.start({ config: "cpu: 2\nmem: 1024\n" });
  }, 180_000);
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  }, 180_000);

  async function makeImage(name: string): Promise<string> {
    const files = await taskFiles({
      main: "nc -ll -p 8080 -e /handler & server=$!; echo meca-init-done; wait $server",
    });
    await importImage(host.docker, name, files, ["/bin/sh", "/main"]);
    return (await host.docker.getImage(name).inspect()).Id;
  }

  test("M31: no strange id harms the daemon: each gets a reason, and nothing is started, booked or left", async () => {
    const ids = [
      ...STRANGE,
      `${registry.host}/none`,
      `${registry.host}/none:1`,
      `${registry.host}/none@${DIGEST}`,
    ];
    for (const id of ids) {
      const answer = await call(daemon, id, "x", SMALL);
      expect({ id, success: answer.success }).toEqual({ id, success: false });
      expect([200, 400]).toContain(answer.status);
      expect(answer.msg.length).toBeGreaterThan(0);
    }
    for (const id of [1, null, {}, ["x"], ""]) {
      expect((await ask(daemon, "/", { id, input: "x" })).bytes.toString()).toBe('"Bad execution request"');
    }
    expect(daemon.child.exitCode).toBeNull();
    expect(await host.containers(daemon)).toEqual([]);
    expect(await stats(daemon)).toMatchObject({ task_used_cpu: 0, task_used_mem: 0 });
    expect(await call(daemon, host.task, "well", SMALL)).toMatchObject({ success: true, msg: "well" });
  }, 180_000);

  test("M31: a name of 128 characters, one without a tag, one by digest, by id, and from a registry with a port all run", async () => {
    const long = `${"a".repeat(60)}/${"b".repeat(67)}`;
    expect(long).toHaveLength(128);
    await makeImage(`${long}:latest`);
    const id = await makeImage("plain:latest");
    await makeImage(`odd__name-x/y.z:_tag.-`);
    const remote = `${registry.host}/account/x`;
    await makeImage(`${remote}:latest`);
    const progress = await host.docker.getImage(`${remote}:latest`).push({ authconfig: {} });
    for await (const chunk of progress) if (String(chunk).includes('"error"')) throw new Error(String(chunk));
    const { RepoDigests } = await host.docker.getImage(`${remote}:latest`).inspect();
    const digest = RepoDigests[0] ?? "";
    expect(digest).toContain("@sha256:");
    await host.docker.getImage(`${remote}:latest`).remove();

    const ids = [
      long,
      "plain",
      "plain:latest",
      id,
      id.slice("sha256:".length),
      "odd__name-x/y.z:_tag.-",
      remote,
      digest,
    ];
    for (const one of ids) {
      const answer = await call(daemon, one, `called ${one}`, SMALL);
      expect({ one, msg: answer.msg, success: answer.success }).toEqual({
        one,
        msg: `called ${one}`,
        success: true,
      });
    }
    const names = (await host.containers(daemon)).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^mecanywhere_[a-zA-Z0-9_.-]+$/);
  }, 180_000);

  test("M31: images of one base name and tag in two repositories do not meet", async () => {
    await makeImage("one/same:1");
    await makeImage("two/same:1");
    const first = await call(daemon, "one/same:1", "x", SMALL);
    const second = await call(daemon, "two/same:1", "x", SMALL);
    expect([first.success, second.success]).toEqual([true, true]);
    expect(first.sandboxId).not.toBe(second.sandboxId);
  });
});
