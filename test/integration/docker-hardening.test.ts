import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Sandbox, SandboxDriver } from "../../src/core/index.ts";
import { DEFAULT_NETWORK_SETTINGS, parseAllowEntry } from "../../src/core/index.ts";
import { LABEL_SCHEMA } from "../../src/drivers/docker/container/labels.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { openDockerWorld, SMALL_TASK, startTask } from "../support/docker-world.ts";
import { buildTaskImage } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
/** Runs what it is sent as a shell command and answers with its output and exit code. */
const SHELL = {
  main: "echo meca-init-done; exec nc -ll -p 8080 -e /handler",
  reply: 'body=$(eval "$body" 2>&1; echo "rc=$?")',
};

describe.skipIf(reason !== undefined)(reason ?? "what a task's container may do", () => {
  const closing: AsyncDisposable[] = [];
  let image: string;
  let docker: Docker;
  let world: DockerWorld;
  let driver: SandboxDriver;
  let joined: Sandbox;
  let other: Sandbox;

  beforeAll(async () => {
    // With its rules: what keeps tasks apart is tested here.
    const engine = await openPrivateEngine({ iptables: true });
    closing.push(engine);
    docker = new Docker({ socketPath: engine.socketPath });
    image = await buildTaskImage(docker, "shell", SHELL);
    world = openDockerWorld(engine.socketPath);
    closing.push(world);
    driver = await world.open({ networksAhead: 2 });
    [joined, other] = await Promise.all([startTask(driver, image), startTask(driver, image)]);
  }, 240_000);
  afterAll(async () => {
    await Promise.all([joined, other].map((sandbox) => sandbox.stop(0)));
    for (const resource of closing.reverse()) await resource[Symbol.asyncDispose]();
  });

  async function run(sandbox: Sandbox, command: string): Promise<{ output: string; code: number }> {
    const { body } = await postOverHttp(sandbox, command);
    const match = /^(?<output>[\s\S]*)rc=(?<code>\d+)$/.exec(body);
    if (match?.groups === undefined) throw new Error(`the probe itself failed: ${body}`);
    return { output: match.groups["output"] ?? "", code: Number(match.groups["code"]) };
  }

  test("every row of the hardening table holds on the container that the engine made", async () => {
    const info = await docker.getContainer(joined.label).inspect();
    expect(info.HostConfig).toMatchObject({
      CapDrop: ["ALL"],
      CapAdd: null,
      Privileged: false,
      Binds: null,
      Devices: null,
      PidMode: "",
      UTSMode: "",
      UsernsMode: "",
      VolumesFrom: null,
      PidsLimit: 256,
      NanoCpus: SMALL_TASK.cpuMillis * 1_000_000,
      Memory: SMALL_TASK.memoryBytes,
      MemorySwap: SMALL_TASK.memoryBytes,
      Init: true,
      AutoRemove: false,
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      LogConfig: { Type: "json-file", Config: { "max-size": "512k", "max-file": "2" } },
      PublishAllPorts: false,
    });
    expect(info.HostConfig.IpcMode).not.toMatch(/host|container/);
    expect(info.HostConfig.SecurityOpt).toContain("no-new-privileges");
    expect(info.HostConfig.SecurityOpt).not.toContain("seccomp=unconfined");
    expect(info.Mounts).toEqual([]);
    expect(info.Config.Labels).toMatchObject({
      "hearth.owner": world.ownerId,
      "hearth.sandbox": joined.id,
      "hearth.task-key": joined.taskKey,
      "hearth.image-digest": joined.imageDigest,
      "hearth.schema": LABEL_SCHEMA,
    });
    expect(JSON.parse(info.Config.Labels["hearth.task"] ?? "")).toEqual(joined.task);
  });

  test("no capability, no new privileges, a filter, and nothing of ours in its environment", async () => {
    const { output } = await run(joined, "cat /proc/self/status; tr '\\0' '\\n' < /proc/1/environ; env");
    expect(output).toMatch(/^CapEff:\s+0000000000000000$/m);
    expect(output).toMatch(/^CapBnd:\s+0000000000000000$/m);
    expect(output).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(output).toMatch(/^Seccomp:\s+2$/m);
    const names = (await run(joined, "env")).output.match(/^[A-Z_]+(?==)/gm);
    const expected = ["PORT", "PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "NVIDIA_VISIBLE_DEVICES"];
    expect(names?.filter((name) => !expected.includes(name))).toEqual([]);
    // An image that asks for every card must not get one by that: a task without cards is told so in so many words.
    expect((await run(joined, "echo $PORT $NVIDIA_VISIBLE_DEVICES")).output).toBe("8080 void\n");
  });

  test.each([
    ["mount a file system", "mount -t tmpfs none /tmp"],
    ["see the engine's socket", "ls /var/run/docker.sock /run/docker.sock"],
    ["make a device", "mknod /tmp/disk b 8 0"],
    ["make a user namespace", "unshare -U true"],
    ["change the host's name", "hostname other"],
    ["change its own network", "ip link add dummy0 type dummy"],
    ["write kernel settings", "echo 1 > /proc/sys/kernel/panic"],
    ["reach the metadata address", "nc -w 1 169.254.169.254 80 </dev/null"],
    ["reach the world", "nc -w 1 192.0.2.1 80 </dev/null"],
  ])("D11: it cannot %s", async (_, command) => {
    expect((await run(joined, command)).code).not.toBe(0);
  });

  test("D11: it reaches itself and not the other task, by any of its addresses", async () => {
    expect((await run(joined, "nc -w 1 127.0.0.1 8080 </dev/null")).code).toBe(0);
    expect((await run(joined, `nc -w 1 ${joined.endpoint.host} 8080 </dev/null`)).code).toBe(0);
    expect((await run(joined, `nc -w 1 ${other.endpoint.host} 8080 </dev/null`)).code).not.toBe(0);
    const gatewayOfOther = other.endpoint.host.replace(/\d+$/, (last) => String(Number(last) - 1));
    expect((await run(joined, `nc -w 1 ${gatewayOfOther} 8080 </dev/null`)).code).not.toBe(0);
  });

  test("D11: it reaches nothing that listens on all addresses of the host", async () => {
    await using listener = await listen();
    const gateway = joined.endpoint.host.replace(/\d+$/, (last) => String(Number(last) - 1));
    for (const address of [gateway, hostAddress()]) {
      const { code } = await run(joined, `nc -w 1 ${address} ${listener.port} </dev/null`);
      expect({ address, isRefused: code !== 0 }).toEqual({ address, isRefused: true });
    }
    expect(listener.peers).toEqual([]);
  });

  test("D10: processes and open files are capped, and core files are off", async () => {
    expect((await run(other, "ulimit -n; ulimit -c")).output).toBe("1024\n0\n");
    const crowded = await startTask(driver, image);
    const bomb = "i=0; while [ $i -lt 400 ]; do sleep 5 & i=$((i+1)); done";
    expect((await postOverHttp(crowded, bomb)).body).toContain("can't fork");
    expect((await run(other, "true")).code).toBe(0);
    await crowded.stop(0);
  });

  test("what the list names is open, by its port, and a caller from there is known as a task; no other task is", async () => {
    await using listener = await listen();
    const outside = hostAddress();
    const allow = [`${outside}:${listener.port}`, "10.0.0.0/8"].flatMap((one) => parseAllowEntry(one) ?? []);
    const open = await world.open({
      network: { ...DEFAULT_NETWORK_SETTINGS, default: "egress", allow },
      networksAhead: 0,
      networkRange: "10.209.0.0/24",
    });
    const [one, two] = await Promise.all([startTask(open, image), startTask(open, image)]);
    expect((await run(one, `nc -w 1 ${outside} ${listener.port} </dev/null`)).code).toBe(0);
    await poll("it is let in", () => listener.peers.length > 0 || "nobody has come");
    expect(listener.peers.map((peer) => open.isTaskAddress(peer))).toEqual([true]);
    expect((await run(one, `nc -w 1 ${two.endpoint.host} 8080 </dev/null`)).code).not.toBe(0);
    for (const sandbox of [one, two]) await sandbox.stop(0);
  });

  test("a sandbox without a network made ahead is kept apart in the same way", async () => {
    const bare = await world.open({ networksAhead: 0, networkRange: "10.211.0.0/24" });
    const alone = await startTask(bare, image);
    expect((await run(alone, "nc -w 1 127.0.0.1 8080 </dev/null")).code).toBe(0);
    expect((await run(alone, `nc -w 1 ${joined.endpoint.host} 8080 </dev/null`)).code).not.toBe(0);
    expect((await run(joined, `nc -w 1 ${alone.endpoint.host} 8080 </dev/null`)).code).not.toBe(0);
    const info = await docker.getContainer(alone.label).inspect();
    expect(info.HostConfig).toMatchObject({
      CapDrop: ["ALL"],
      CapAdd: null,
      Privileged: false,
      PidsLimit: 256,
    });
    await alone.stop(0);
  });

  test("an image's own health check and volumes leave nothing behind", async () => {
    const built = await docker.createContainer({ Image: image, name: "with-extras" });
    const changes = 'HEALTHCHECK --interval=1s CMD ["/bin/ls"]\nVOLUME /data';
    await docker.getContainer(built.id).commit({ repo: "hearth-test/extras", tag: "1", changes });
    await built.remove();
    const sandbox = await startTask(driver, "hearth-test/extras:1");
    const info = await docker.getContainer(sandbox.label).inspect();
    expect(info.State.Health).toBeUndefined();
    await sandbox.stop(0);
    expect((await docker.listVolumes()).Volumes).toEqual([]);
  });
});

interface Listener extends AsyncDisposable {
  readonly port: number;
  readonly peers: { remoteAddress: string; remotePort: number; localAddress: string; localPort: number }[];
}

/** Listens on every address of the host and writes down who came. */
async function listen(): Promise<Listener> {
  const peers: Listener["peers"] = [];
  const server = createServer((socket: Socket) => {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    peers.push({ remoteAddress, remotePort, localAddress, localPort });
    socket.destroy();
  }).listen(0);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** An address of this machine that is no bridge's. */
function hostAddress(): string {
  const faces = Object.entries(networkInterfaces()).filter(
    ([name]) => !/^(lo|br-|docker|hb|veth)/.test(name),
  );
  const address = faces.flatMap(([, list]) => list ?? []).find(({ family }) => family === "IPv4")?.address;
  return address ?? "127.0.0.1";
}
