import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { Server } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sgxRefused } from "../../src/drivers/docker/sgx/sgx-parts.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { outputOf } from "../support/run-program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const example = join(root, "examples/sgx-mock");
const noEngine = whyNoEngine();
const IMAGE = "sgx-mock";
const PAIRS = 200;

/** What the sample's two sides share; it is plain JavaScript. */
interface Sealing {
  measure(): string;
  newKeys(): { readonly publicKey: string };
  checkEvidence(evidence: unknown, measurement: string): void;
  seal(text: string, direction: string, own: object, other: string): object;
  open(sealed: unknown, direction: string, own: object, other: string): string;
}

interface Evidence {
  readonly publicKey: string;
}

// STAND-INS: this machine has no SGX. The device is a node with the numbers of /dev/null, the AESM service a socket that takes
// connections and says nothing, and the enclave is the sample's mock. What is proven is who gets them and who does not, and
// which process a call meets; nothing is proven about enclaves.
describe.skipIf(noEngine !== undefined)(
  `SGX tasks${noEngine === undefined ? "" : ` (needs docker: ${noEngine})`}`,
  () => {
    let host: TestHost;
    let folder: string;
    let aesmd: Server;
    let daemon: HostedDaemon;
    let sealing: Sealing;

    beforeAll(async () => {
      sealing = (await import(join(example, "sealing.mjs"))) as Sealing;
      folder = mkdtempSync(join(tmpdir(), "sgx-"));
      await outputOf("mknod", [join(folder, "enclave"), "c", "1", "3"]);
      await mkdir(join(folder, "aesmd"));
      aesmd = createServer((socket) => socket.on("error", () => socket.destroy()).resume());
      await new Promise<void>((resolve) => {
        aesmd.listen({ path: join(folder, "aesmd", "aesm.socket"), writableAll: true }, resolve);
      });
      host = await openTestHost();
      const env = { DOCKER_HOST: `unix://${host.engine.socketPath}`, DOCKER_BUILDKIT: "0" };
      await outputOf("sh", [join(root, "scripts/node-base-image.sh"), "hearth-node-base"], {
        env,
        timeoutMs: 120_000,
      });
      const build = ["build", "-q", "-t", IMAGE, "--build-arg", "BASE=hearth-node-base", example];
      await outputOf("docker", build, { env, timeoutMs: 120_000 });
      // A small host: room for two sandboxes of one core.
      daemon = await host.start({ env: { ...sgxEnv(), HEARTH_CPU: "2", HEARTH_MEM: "1024" } });
    }, 400_000);

    afterAll(async () => {
      await daemon[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
      aesmd.close();
      rmSync(folder, { recursive: true, force: true });
    }, 180_000);

    const sgxEnv = (): Record<string, string> => ({
      HEARTH_SGX_ENABLE: "true",
      HEARTH_SGX_SGX_DEVICE: join(folder, "enclave"),
      HEARTH_SGX_AESMD_PATH: join(folder, "aesmd"),
    });

    async function legacy(body: object, to = daemon): Promise<{ success: boolean; msg: string }> {
      const answer = await fetch(to.baseUrl, { method: "POST", body: JSON.stringify(body) });
      return (await answer.json()) as { success: boolean; msg: string };
    }

    /** Seals, has it worked on and opens the answer: only the process with that key can do it. */
    async function workOn(key: string, run: (sealed: string) => Promise<string>): Promise<void> {
      const own = sealing.newKeys();
      const numbers = [1, 2, Math.floor(Math.random() * 1000)];
      const sealed = sealing.seal(JSON.stringify({ numbers }), "request", own, key);
      const answer = sealing.open(JSON.parse(await run(JSON.stringify(sealed))), "answer", own, key);
      expect(JSON.parse(answer)).toEqual({ sum: numbers.reduce((sum, n) => sum + n, 0) });
    }

    test("M21: an SGX task gets the device and the AESM folder, and its input at /run", async () => {
      const evidence = JSON.parse(
        (await legacy({ id: IMAGE, use_sgx: true, input: "SGXRAREQUEST" })).msg,
      ) as Evidence;
      sealing.checkEvidence(evidence, sealing.measure());
      await workOn(evidence.publicKey, async (sealed) => {
        const answer = await legacy({ id: IMAGE, use_sgx: true, input: sealed });
        expect(answer.success).toBe(true);
        return answer.msg;
      });
      const [container] = await host.containers(daemon);
      const { HostConfig, Mounts } = await host.docker.getContainer(container?.id ?? "").inspect();
      expect(HostConfig.Devices).toEqual([
        {
          PathOnHost: join(folder, "enclave"),
          PathInContainer: "/dev/sgx/enclave",
          CgroupPermissions: "mrw",
        },
      ]);
      expect(Mounts).toMatchObject([
        { Type: "bind", Source: join(folder, "aesmd"), Destination: "/var/run/aesmd", RW: false },
      ]);
      expect(HostConfig).toMatchObject({ CapDrop: ["ALL"], Privileged: false });
      // From inside: the device is one, the service answers, and the POST went to /run.
      const url = `${daemon.baseUrl}/v1/calls?image=${IMAGE}&isolation=sgx&path=/counters`;
      const seen = await fetch(url, { method: "POST" });
      expect(seen.headers.get("hearth-isolation")).toBe("sgx");
      expect(await seen.json()).toMatchObject({
        publicKey: evidence.publicKey,
        attested: 1,
        answered: 1,
        isDevice: true,
        isAesmThere: true,
      });
    });

    test("M21: a plain request never meets the enclave's server, and gets nothing of SGX", async () => {
      const url = `${daemon.baseUrl}/v1/calls?image=${IMAGE}&path=/counters`;
      const plain = await fetch(url, { method: "POST" });
      expect(await plain.json()).toMatchObject({ attested: 0, isDevice: false, isAesmThere: false });
      const enclave = await fetch(`${url}&sgx=true`, { method: "POST" });
      expect(enclave.headers.get("hearth-sandbox-id")).not.toBe(plain.headers.get("hearth-sandbox-id"));
      for (const { id, labels } of await host.containers(daemon)) {
        const { HostConfig } = await host.docker.getContainer(id).inspect();
        const isSgx = (JSON.parse(labels["hearth.task"] ?? "{}") as { sgx?: boolean }).sgx === true;
        expect([HostConfig.Devices?.length ?? 0, HostConfig.Mounts?.length ?? 0]).toEqual(
          isSgx ? [1, 1] : [0, 0],
        );
      }
    });

    test.each([
      ["switched off", { HEARTH_SGX_ENABLE: "false" }, "sgx.enable is off"],
      [
        "without the device",
        { HEARTH_SGX_SGX_DEVICE: "/dev/no-sgx-here" },
        "/dev/no-sgx-here does not exist",
      ],
      ["without the AESM folder", { HEARTH_SGX_AESMD_PATH: "/no/aesmd" }, "sgx.aesmd_path: /no/aesmd"],
    ])("M21: %s it is refused, with the reason, and nothing is started", async (_, change, reason) => {
      await using other = await host.start({ env: { ...sgxEnv(), ...change } });
      for (const words of [{ use_sgx: true }, { useSgx: true }, { runtime: "sgx" }]) {
        const answer = await legacy({ id: IMAGE, input: "x", ...words }, other);
        expect(answer.success).toBe(false);
        expect(answer.msg).toContain(reason);
      }
      const attest = await fetch(`${other.baseUrl}/v1/attest?image=${IMAGE}`, { method: "POST" });
      expect(await attest.json()).toMatchObject({ code: "SGX_UNAVAILABLE" });
      expect(await host.containers(other)).toEqual([]);
    });

    test("defect 5: SGX with a GPU, or in another class, is refused with both named", async () => {
      const gpu = await legacy({ id: IMAGE, use_sgx: true, input: "x", resource: { use_gpu: true } });
      expect(gpu.msg).toMatch(/SGX or GPUs, not both.*gpuCount 1/);
      const other = await legacy({ id: IMAGE, use_sgx: true, runtime: "gvisor", input: "x" });
      expect(other.msg).toMatch(/SGX or in the class gvisor/);
    });

    test("M21: what an engine says of a device or a folder that its host lacks is understood", async () => {
      const there = join(folder, "enclave");
      for (const [device, source] of [
        ["/dev/no-sgx-here", join(folder, "aesmd")],
        [there, "/no/aesmd"],
      ] as const) {
        const body = {
          Image: IMAGE,
          HostConfig: {
            NetworkMode: "none",
            Devices: [{ PathOnHost: device, PathInContainer: "/dev/sgx/enclave", CgroupPermissions: "mrw" }],
            Mounts: [{ Type: "bind" as const, Source: source, Target: "/var/run/aesmd", ReadOnly: true }],
          },
        };
        const said = await host.docker
          .createContainer(body)
          .then((container) => container.start())
          .then(String, (error: unknown) => String(error));
        expect(sgxRefused(true, said)).toContain(said);
        expect(sgxRefused(false, said)).toBeUndefined();
      }
    });

    test("M22: the sample client decrypts the answer, over /v1 and over the older API, as its README says", async () => {
      for (const more of [[], ["--legacy"], ["--plain"]]) {
        const args = [join(example, "client.mjs"), "--url", daemon.baseUrl, ...more, "1", "2", "39"];
        const printed = await outputOf(process.execPath, args);
        expect(printed).toMatch(/^evidence: a mock, measurement [0-9a-f]{64}/);
        expect(printed).toContain('answer: {"sum":42}');
      }
      expect((await sessions()).filter(({ isHold }) => !isHold)).toEqual([]);
    }, 180_000);

    test("M22: the commands of docs/isolation/sgx.md do what is said there", async () => {
      const page = readFileSync(join(root, "docs/isolation/sgx.md"), "utf8");
      const script = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, text]) => text ?? "").join("\n");
      const home = mkdtempSync(join(tmpdir(), "sgx-curl-"));
      const { port } = new URL(daemon.baseUrl);
      writeFileSync(join(home, ".curlrc"), `connect-to = "localhost:2591:127.0.0.1:${port}"\n`);
      // What nobody has sealed reaches the server all the same, and the server says what it is.
      writeFileSync(join(home, "sealed-input"), "{}");
      const env = { CURL_HOME: home, HOME: home };
      const printed = await outputOf("sh", ["-e", "-c", script], { cwd: home, env });
      expect(printed).toContain("not sealed for this server");
      sealing.checkEvidence(JSON.parse(readFileSync(join(home, "evidence"), "utf8")), sealing.measure());
      const id = /^hearth-session: (\S+)/im.exec(readFileSync(join(home, "head"), "utf8"))?.[1];
      expect((await fetch(`${daemon.baseUrl}/v1/sessions/${id}`)).status).toBe(404);
      rmSync(home, { recursive: true });
    });

    test(`M22: of ${PAIRS} pairs of attestation and call under eviction pressure none reaches another process`, async () => {
      // Memory, unlike CPU, is not given back by freezing: with room for two servers a third one costs one of them its life.
      await using small = await host.start({
        env: { ...sgxEnv(), HEARTH_CPU: "2", HEARTH_MEM: "280", HEARTH_TASKS_QUEUE_TIMEOUT_S: "120" },
      });
      const keys = new Set<string>();
      let done = 0;
      const pair = async (worker: number): Promise<void> => {
        const task = `image=${IMAGE}&mem=${128 + worker}`;
        const attest = await fetch(`${small.baseUrl}/v1/attest?${task}`, { method: "POST" });
        expect(attest.status).toBe(200);
        const { publicKey } = (await attest.json()) as Evidence;
        const url = `${small.baseUrl}/v1/calls?session=${attest.headers.get("hearth-session")}`;
        await workOn(publicKey, async (sealed) => {
          const answer = await fetch(url, { method: "POST", body: sealed });
          expect(answer.status).toBe(200);
          return await answer.text();
        });
        const id = attest.headers.get("hearth-session");
        const end = await fetch(`${small.baseUrl}/v1/sessions/${id}`, { method: "DELETE" });
        expect(end.status).toBe(204);
        keys.add(publicKey);
        done += 1;
      };
      const worker = async (number: number): Promise<void> => {
        while (done < PAIRS) await pair(number);
      };
      await Promise.all([worker(0), worker(1), worker(2)]);
      expect(done).toBeGreaterThanOrEqual(PAIRS);
      // The pressure was real: processes came and went.
      expect(keys.size).toBeGreaterThan(10);
    }, 400_000);

    test("M22: over the older API what follows an attestation meets the same server, whatever else wants its room", async () => {
      await using small = await host.start({
        // Its container's class has a runtime by name here, and an enclave's container is that one.
        config: "runtimes:\n  - name: runc\n    isolation: container\n",
        env: { ...sgxEnv(), HEARTH_CPU: "1", HEARTH_MEM: "512", HEARTH_TASKS_QUEUE_TIMEOUT_S: "2" },
      });
      const attested = await legacy({ id: IMAGE, use_sgx: true, input: "SGXRAREQUEST" }, small);
      const { publicKey } = JSON.parse(attested.msg) as Evidence;
      for (let n = 0; n < 3; n += 1) {
        const rival = legacy({ id: host.task, input: "x" }, small);
        await workOn(
          publicKey,
          async (sealed) => (await legacy({ id: IMAGE, runtime: "sgx", input: sealed }, small)).msg,
        );
        expect(await rival).toMatchObject({ success: false });
      }
      const { sandboxes } = JSON.parse(await small.cli("ps", "--json")) as {
        sandboxes: { sessions: number }[];
      };
      expect(sandboxes.map(({ sessions: count }) => count)).toEqual([1]);
    }, 180_000);

    test("M22: when its server dies the session ends with its own error, and no other process hears from it", async () => {
      const attest = await fetch(`${daemon.baseUrl}/v1/attest?image=${IMAGE}&mem=140`, { method: "POST" });
      const { publicKey } = (await attest.json()) as Evidence;
      const sandboxId = attest.headers.get("hearth-sandbox-id");
      const all = await host.containers(daemon);
      const { id } = all.find(({ labels }) => labels["hearth.sandbox"] === sandboxId) ?? { id: "" };
      await host.docker.getContainer(id).kill();
      const url = `${daemon.baseUrl}/v1/calls?session=${attest.headers.get("hearth-session")}`;
      const call = async (): Promise<{ readonly code?: string }> =>
        (await (await fetch(url, { method: "POST", body: "{}" })).json()) as { code?: string };
      await expect.poll(async () => (await call()).code).toBe("SESSION_ENDED");
      const anew = await fetch(`${daemon.baseUrl}/v1/attest?image=${IMAGE}&mem=140`, { method: "POST" });
      expect(((await anew.json()) as Evidence).publicKey).not.toBe(publicKey);
      expect((await call()).code).toBe("SESSION_ENDED");
    }, 180_000);

    async function sessions(): Promise<readonly { readonly isHold: boolean }[]> {
      const list = await fetch(`${daemon.baseUrl}/v1/sessions`);
      return ((await list.json()) as { sessions: { isHold: boolean }[] }).sessions;
    }
  },
);
