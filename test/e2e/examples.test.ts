import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { outputOf, runProgram } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const noEngine = whyNoEngine();

describe("the samples without an engine", () => {
  describeSamples(async () => ({ daemon: await startDaemon({ env: { HEARTH_DRIVER: "process" } }) }));
});

describe.skipIf(noEngine !== undefined)(
  `the samples on Docker${noEngine === undefined ? "" : ` (needs docker: ${noEngine})`}`,
  () => {
    describeSamples(async () => {
      const engine = await openPrivateEngine();
      const env = { DOCKER_HOST: `unix://${engine.socketPath}`, DOCKER_BUILDKIT: "0" };
      await outputOf("sh", [join(root, "scripts/node-base-image.sh"), "hearth-node-base"], { env });
      for (const name of ["echo", "cpu", "slow-start", "streaming", "sgx-mock"]) {
        const args = [
          "build",
          "-q",
          "-t",
          name,
          "--build-arg",
          "BASE=hearth-node-base",
          join(root, "examples", name),
        ];
        await outputOf("docker", args, { env, timeoutMs: 120_000 });
      }
      return {
        engine,
        daemon: await startDaemon({ env: { HEARTH_DRIVER: "docker", DOCKER_HOST: env.DOCKER_HOST } }),
      };
    });
  },
);

function describeSamples(open: () => Promise<{ daemon: Daemon; engine?: PrivateEngine }>): void {
  let daemon: Daemon;
  let engine: PrivateEngine | undefined;

  beforeAll(async () => {
    ({ daemon, engine } = await open());
  }, 300_000);

  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  }, 180_000);

  async function call(id: string, input: string): Promise<unknown> {
    const answer = await fetch(daemon.baseUrl, { method: "POST", body: JSON.stringify({ id, input }) });
    return await answer.json();
  }

  test("echo answers its input, byte for byte", async () => {
    const input = '{"text":"<é & \\u2028>"}\n';
    expect(await call("echo", input)).toEqual({ success: true, msg: input });
  });

  test("cpu counts primes, and a wrong input is the task's failure and not ours", async () => {
    expect(await call("cpu", "100000")).toEqual({ success: true, msg: '{"below":100000,"primes":9592}' });
    expect(await call("cpu", "many")).toEqual({
      success: false,
      msg: "send a whole number from 0 to 50000000\n",
    });
  });

  test("several first calls of slow-start share one start, also though its mark comes too early", async () => {
    const answers = await Promise.all([1, 2, 3].map(() => call("slow-start", "")));
    expect(answers).toEqual(answers.map(() => ({ success: true, msg: '{"loadedInMs":5000}' })));
    const { sandboxes } = JSON.parse(await daemon.cli("ps", "--json")) as { sandboxes: { image: string }[] };
    expect(sandboxes.filter(({ image }) => image === "slow-start")).toHaveLength(1);
  });

  test("M22: sgx-mock and its client show the steps of attestation also on a host without SGX", async () => {
    const client = join(root, "examples/sgx-mock/client.mjs");
    const printed = await outputOf(process.execPath, [
      client,
      "--url",
      daemon.baseUrl,
      "--plain",
      "1",
      "2",
      "39",
    ]);
    expect(printed).toMatch(/^evidence: a mock, .*\nsent: \S+\nanswer: {"sum":42}$/);
    // Without `--plain` it asks for SGX, which nobody here has: told, not weakened.
    const refused = await runProgram(process.execPath, [client, "--url", daemon.baseUrl]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("SGX_UNAVAILABLE") as string });
  });

  test("streaming passes each event on as it is made", async () => {
    const url = `${daemon.baseUrl}/v1/calls?image=streaming`;
    // The second event is a minute away: what is read first can only be what was passed on as it was made.
    const leave = new AbortController();
    const answer = await fetch(url, {
      method: "POST",
      body: '{"count":2,"everyMs":60000}',
      signal: leave.signal,
    });
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const { value } = (await answer.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe('event: tick\ndata: {"n":1,"of":2}\n\n');
    leave.abort();
    expect(await call("streaming", '{"count":1}')).toEqual({
      success: true,
      msg: 'event: tick\ndata: {"n":1,"of":1}\n\nevent: done\ndata: {}\n\n',
    });
  });
}
