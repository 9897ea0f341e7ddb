import { existsSync } from "node:fs";
import { release } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import { buildTaskImage } from "../support/images.ts";
import { ask, call } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { GVISOR, PLAIN_RUNC, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine() ?? (existsSync(GVISOR.path) ? undefined : "runsc is not installed");
const WISH = { resource: { cpu: 0.5, mem: 64 } };

/** What the daemon says of one class, once its probe has ended. */
async function classOf(
  daemon: HostedDaemon,
  isolation: string,
): Promise<Host["classes"][number] | undefined> {
  let found: Host["classes"][number] | undefined;
  await poll(`the class ${isolation} is tested`, async () => {
    const { json } = await ask(daemon, "/v1/host");
    found = (json as Host).classes.find((one) => one.isolation === isolation);
    return found?.state !== "unproven" || JSON.stringify(found);
  });
  return found;
}

async function sandboxes(daemon: HostedDaemon): Promise<SandboxList["sandboxes"]> {
  return ((await ask(daemon, "/v1/sandboxes")).json as SandboxList).sandboxes;
}

/**
 * The stand-ins: no machine that these tests must run on has KVM for Kata, so gVisor is registered under the name `kata` where a
 * virtual machine is wanted: it has a kernel of its own, which is what a probe can see. And runc under a name that promises more.
 */
describe.skipIf(reason !== undefined)(`isolation${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  let kernel: string;

  beforeAll(async () => {
    host = await openTestHost({
      runtimes: { runsc: GVISOR, kata: GVISOR, "fake-kata": PLAIN_RUNC, gone: { path: "/nowhere/runtime" } },
    });
    kernel = await buildTaskImage(host.docker, "kernel", {
      main: "echo meca-init-done; exec nc -ll -p 8080 -e /handler",
      reply: "body=$(uname -r)",
    });
  }, 180_000);
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  const config = (runtimes: readonly string[], more = ""): string =>
    `${more}\nruntimes:\n${runtimes.map((row) => `  - {${row}}\n`).join("")}`;
  const inspect = async (daemon: HostedDaemon): Promise<(string | undefined)[]> => {
    const all = await host.containers(daemon);
    const facts = await Promise.all(all.map(({ id }) => host.docker.getContainer(id).inspect()));
    return facts.map(({ HostConfig }) => HostConfig.Runtime);
  };

  test("M19: microVM starts with the configured runtime's name, as inspect shows", async () => {
    const daemonConfig = config(
      ["name: kata, isolation: microVM, limits: optional"],
      "microVM_runtime: kata",
    );
    await using daemon = await host.start({ config: daemonConfig });
    const answer = await call(daemon, kernel, "", { ...WISH, runtime: "microVM" });
    expect(answer).toMatchObject({ success: true });
    expect(answer.msg).not.toBe(release());
    expect(await inspect(daemon)).toEqual(["kata"]);
    expect((await sandboxes(daemon)).map(({ isolation }) => isolation)).toEqual(["microVM"]);
  });

  test("M19: with none configured it is refused, an unknown name too, and nothing is started", async () => {
    await using daemon = await host.start();
    for (const runtime of ["microVM", "gvisor", "kata", "runsc", "runc", "../x", "sgx"]) {
      const answer = await call(daemon, host.task, "x", { ...WISH, runtime });
      expect(answer.success, runtime).toBe(false);
      expect(answer.msg, runtime).toMatch(/isolation|SGX/);
    }
    const answer = await call(daemon, host.task, "x", { ...WISH, runtime: "microVM" });
    expect(answer.msg).toContain("nothing on this host is configured for it");
    expect(answer.msg).toContain("container");
    expect(await host.containers(daemon)).toEqual([]);
  });

  test("M19: a name that the engine does not know is refused with what it has, and a name set live is taken", async () => {
    await using daemon = await host.start({
      config: config(["name: kata, isolation: microVM, limits: optional"], "microVM_runtime: nothere"),
    });
    const refused = await call(daemon, host.task, "x", { ...WISH, runtime: "microVM" });
    expect(refused).toMatchObject({ success: false });
    expect(refused.msg).toContain("does not offer the runtime nothere");
    await ask(daemon, "/pause", "");
    const wish = { timeout: 2, cpu: 1, mem: 200, microVM_runtime: "kata" };
    const changed = await ask(daemon, "/update-config", wish);
    expect(changed.json).toMatchObject({
      success: true,
      msg: expect.stringMatching(/^configuration updated(; the runtime kata is still tested.*)?$/) as string,
    });
    await ask(daemon, "/unpause", "");
    expect(await call(daemon, host.task, "x", { ...WISH, runtime: "microVM" })).toMatchObject({
      success: true,
    });
  });

  test("M20: an absent runtime and `container` meet the same warm server in the default runtime", async () => {
    await using daemon = await host.start();
    for (const wish of [WISH, { ...WISH, runtime: "container" }, { ...WISH, runtime: "" }, WISH]) {
      expect(await call(daemon, host.task, "x", wish)).toMatchObject({ success: true });
    }
    const all = await sandboxes(daemon);
    expect(all).toHaveLength(1);
    expect(all[0]).toMatchObject({ calls: 4, isolation: "container" });
    expect(await inspect(daemon)).toEqual(["runc"]);
  });

  test("G: a task under gVisor answers from another kernel, on a warm server of its own", async () => {
    await using daemon = await host.start({
      config: config(["name: runsc, isolation: gvisor, limits: optional"]),
    });
    const plain = await call(daemon, kernel, "", WISH);
    const strong = await call(daemon, kernel, "", { ...WISH, runtime: "gvisor" });
    const again = await call(daemon, kernel, "", { ...WISH, runtime: "gvisor" });
    expect([plain.success, strong.success, again.success]).toEqual([true, true, true]);
    expect(plain.msg).toContain(release());
    expect(strong.msg).not.toContain(release());
    expect(again.msg).toBe(strong.msg);
    // Each answer names the class that it was reached in, on every door; a refusal names none.
    const reached = (headers: Headers): string | null => headers.get("hearth-isolation");
    expect([plain, strong, again].map(({ headers }) => reached(headers))).toEqual([
      "container",
      "gvisor",
      "gvisor",
    ]);
    const query = new URLSearchParams({ image: kernel, isolation: "gvisor", cpu: "0.5", mem: "64" });
    const v1 = await ask(daemon, `/v1/calls?${query.toString()}`, "");
    expect(reached(v1.headers)).toBe("gvisor");
    expect(v1.bytes.toString()).toBe(strong.msg);
    const refused = await call(daemon, kernel, "", { ...WISH, runtime: "microVM" });
    expect([refused.success, reached(refused.headers)]).toEqual([false, null]);
    expect((await inspect(daemon)).sort()).toEqual(["runc", "runsc"]);
    const all = await sandboxes(daemon);
    expect(all.map(({ isolation, calls }) => `${String(isolation)} ${calls}`).sort()).toEqual([
      "container 1",
      "gvisor 3",
    ]);
  });

  test("G, E8: a gVisor that ignores limits is reported so, and refused unless that is agreed to", async () => {
    await using strict = await host.start({ config: config(["name: runsc, isolation: gvisor"]) });
    const report = await classOf(strict, "gvisor");
    expect(report).toMatchObject({
      runtime: "runsc",
      state: "unusable",
      sight: { hasOwnKernel: true, hasNoNewPrivileges: true, reachesExecutor: false },
    });
    expect(report?.sight?.ignored).toEqual(expect.arrayContaining(["memory", "pids"]));
    const answer = await call(strict, host.task, "x", { ...WISH, runtime: "gvisor" });
    expect(answer).toMatchObject({ success: false });
    expect(answer.msg).toContain("its limits do not hold");
    // Others are unaffected, and nothing of the probe is left.
    expect(await call(strict, host.task, "x", WISH)).toMatchObject({ success: true });
    expect(await host.containers(strict)).toHaveLength(1);
    await poll("the test sandboxes are gone", async () => {
      const all = await host.containers(strict, "any");
      const probes = all.filter(({ labels }) => labels["hearth.kind"] === "probe");
      return probes.length === 0 || probes.map(({ name }) => name).join();
    });
  });

  test("F, E8: a `kata` that is plain runc is caught, one that is not there or cannot run is told, others run on", async () => {
    await using daemon = await host.start({
      config: config(["name: gone, isolation: gvisor, limits: optional"], "microVM_runtime: fake-kata"),
    });
    const fake = await classOf(daemon, "microVM");
    expect(fake).toMatchObject({ runtime: "fake-kata", state: "unusable", sight: { hasOwnKernel: false } });
    expect(fake?.reasons.join()).toContain("no stronger than a container");
    expect(await classOf(daemon, "gvisor")).toMatchObject({ state: "unusable" });
    for (const runtime of ["microVM", "gvisor"]) {
      const answer = await call(daemon, host.task, "x", { ...WISH, runtime });
      expect(answer.success).toBe(false);
    }
    expect(await host.containers(daemon)).toEqual([]);
    expect(await call(daemon, host.task, "x", WISH)).toMatchObject({ success: true });
    const { json } = await ask(daemon, "/v1/host");
    expect((json as Host).isolation).toEqual(["container"]);
    expect(daemon.log()).toContain('"event":"isolation.unusable"');
  });

  test("doctor says of each class what its probe saw, and leaves nothing in the engine", async () => {
    await using daemon = await host.start({
      config: config(["name: runsc, isolation: gvisor"], "microVM_runtime: fake-kata"),
    });
    const before = await host.docker.listNetworks();
    const text = await daemon
      .cli("doctor", "--config", daemon.configFile)
      .catch((error: unknown) => String(error));
    expect(text).toMatch(/container: the host's kernel; limits on CPU, memory, processes hold/);
    expect(text).toMatch(/gvisor \(runtime runsc\): not usable: its limits do not hold/);
    expect(text).toMatch(/microVM \(runtime fake-kata\): not usable: tasks in it run on the host's kernel/);
    const doctors = (await host.docker.listNetworks()).filter(
      ({ Id }) => !before.some((one) => one.Id === Id),
    );
    expect(doctors.filter(({ Labels }) => Labels?.["hearth.owner"]?.startsWith("doctor-"))).toEqual([]);
  });
});
