import { readdir, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import type { FaultDaemon, FaultHost } from "../support/fault-host.ts";
import { dieBy, endWith, openFaultHost } from "../support/fault-host.ts";
import type { Baseline } from "../support/judge.ts";
import { baselineOf, judgeAtRest, rssOf, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { SLACK } from "../support/slack.ts";

const reason = whyNoEngine();
const MEBIBYTE = 1_048_576;

describe.skipIf(reason !== undefined)(reason ?? "tasks that misbehave, on Docker", () => {
  let host: FaultHost;
  let daemon: FaultDaemon;
  let baseline: Baseline;
  let books: ReturnType<typeof watchBooks>;
  let neighbour: string;

  beforeAll(async () => {
    host = await openFaultHost();
    daemon = await host.start({
      config: `tasks: {stop_grace_s: 2, refresh_images: false, start_timeout_s: 30, sandboxes_per_task: 1}
http: {answer_bytes: 8388608}`,
    });
    neighbour = await host.image("neighbour", SERVES);
    expect((await daemon.caller.call(neighbour, "body=hello")).text).toBe("hello");
    expect((await daemon.caller.call(host.obeys, "body=hello")).text).toBe("hello");
    baseline = await baselineOf(daemon.daemon);
    books = watchBooks(daemon);
  }, 240_000);
  afterAll(async () => {
    // Whatever is judged, all of it ends.
    await using _host = host;
    await using _daemon = daemon;
    await books.stop();
    await host.judgeNetworks(daemon);
    await judgeAtRest(daemon, baseline);
    expect(await daemon.daemon.end("SIGTERM")).toBe(0);
    expect(await host.remainsOf(daemon.owner)).toEqual([]);
  }, 180_000);

  const call: FaultDaemon["caller"]["call"] = (...args) => daemon.caller.call(...args);
  const neighbourIsWell = async (): Promise<void> => {
    const answer = await call(neighbour, "body=well");
    expect([answer.status, answer.text, answer.start]).toEqual([200, "well", "warm"]);
  };
  const list = async (): Promise<SandboxList["sandboxes"]> =>
    (await daemon.caller.get<SandboxList>("/v1/sandboxes")).sandboxes;

  test("D1: a program that allocates past its limit ends as out of memory, with the limit, and is replaced", async () => {
    const before = await call(host.obeys, "body=1");
    const eaten = await call(host.obeys, "tail /dev/zero >/dev/null; kill -KILL $(cat /tmp/main); sleep 60");
    expect([eaten.status, eaten.code]).toEqual([502, "TASK_OUT_OF_MEMORY"]);
    expect(eaten.problem?.facts["limitBytes"]).toBe(32 * MEBIBYTE);
    const after = await call(host.obeys, "body=2");
    expect([after.status, after.text]).toEqual([200, "2"]);
    expect(after.sandboxId).not.toBe(before.sandboxId);
    await neighbourIsWell();
  });

  test("D3: a handler that sleeps for ever, and one whose container somebody froze, end at their deadline and are not used again", async () => {
    for (const freezes of [false, true]) {
      const before = await call(host.obeys, "body=1");
      if (freezes) {
        const label = (await list()).find(({ id }) => id === before.sandboxId)?.label ?? "";
        await host.docker.getContainer(label).pause();
      }
      const slept = await call(host.obeys, "sleep 600", { runTimeoutMs: 1500 });
      expect([slept.status, slept.code]).toEqual([504, "RUN_TIMEOUT"]);
      expect(slept.ms).toBeLessThan(1500 + 1000 * SLACK);
      const after = await call(host.obeys, "body=2");
      expect([after.status, after.text]).toEqual([200, "2"]);
      expect(after.sandboxId).not.toBe(before.sandboxId);
    }
    await neighbourIsWell();
  });

  test("D4: a port that never opens, or opens and closes, ends the start in time with the log's tail; a late one works", async () => {
    const serve = "nc -ll -p 8080 -e /handler";
    const [never, shut, late] = await Promise.all([
      host.image("neveropens", "echo no port here; echo meca-init-done; exec sleep 1000"),
      host.image("opensandcloses", `${serve} & sleep 0.3; kill $!; echo gone again; exec sleep 1000`),
      host.image("opensafter9s", `echo meca-init-done; sleep 9; exec ${serve}`),
    ]);
    const [a, b, c] = await Promise.all([
      call(never, "body=1"),
      call(shut, "body=1"),
      call(late, "body=late"),
    ]);
    for (const answer of [a, b]) {
      expect([answer.status, answer.code]).toEqual([504, "START_TIMEOUT"]);
      expect(answer.ms).toBeLessThan(30_000 + 2000 * SLACK);
    }
    expect(a.problem?.facts["logTail"]).toContain("no port here");
    expect(b.problem?.facts["logTail"]).toContain("gone again");
    expect([c.status, c.text]).toEqual([200, "late"]);
    await neighbourIsWell();
  }, 180_000);

  test("D5: every way to end, before and during a call, is told by its code or signal at once", async () => {
    const codes = [0, 1, 42, 126, 127];
    for (const code of codes) {
      expect((await call(host.obeys, "body=warm")).status).toBe(200);
      const during = await call(host.obeys, endWith(code));
      expect([during.status, during.code, during.problem?.facts["exitCode"]]).toEqual([
        502,
        "TASK_EXITED",
        code,
      ]);
      expect(during.ms).toBeLessThan(1000 * SLACK);
    }
    for (const signal of ["SEGV", "KILL"]) {
      expect((await call(host.obeys, "body=warm")).status).toBe(200);
      const during = await call(host.obeys, dieBy(signal));
      expect([during.status, during.code, during.problem?.facts["signal"]]).toEqual([
        502,
        "TASK_EXITED",
        `SIG${signal}`,
      ]);
      expect(during.ms).toBeLessThan(1000 * SLACK);
    }
    const early = await Promise.all(
      [0, 1, 42].map(
        async (code) => await call(await host.image(`ends${code}`, `echo so ${code}; exit ${code}`), ""),
      ),
    );
    expect(early.map(({ status, code, problem }) => [status, code, problem?.facts["exitCode"]])).toEqual(
      [0, 1, 42].map((code) => [502, "SANDBOX_EXITED_EARLY", code]),
    );
    expect(early.map(({ problem }) => problem?.facts["logTail"])).toEqual(["so 0\n", "so 1\n", "so 42\n"]);
    const unusable = await Promise.all(
      [126, 127].map(async (code) => await call(await host.image(`ends${code}`, `exit ${code}`), "")),
    );
    expect(unusable.map(({ status, code }) => [status, code])).toEqual([
      [502, "IMAGE_UNUSABLE"],
      [502, "IMAGE_UNUSABLE"],
    ]);
    const segv = await call(await host.image("endsbysegv", "kill -SEGV $$"), "");
    expect([segv.status, segv.code, segv.problem?.facts["signal"]]).toEqual([
      502,
      "SANDBOX_EXITED_EARLY",
      "SIGSEGV",
    ]);
    await neighbourIsWell();
  }, 180_000);

  test("D6: a death in mid-answer, garbage, a bad chunk, foreign headers and a storm of 1xx never reach a client as an answer", async () => {
    const say = (text: string): string => `printf '${text}'; exit`;
    const headed = "HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n";
    const garbage = await call(host.obeys, say("this is no HTTP\\r\\n\\r\\n"));
    expect([garbage.status, garbage.code]).toEqual([502, "TASK_PROTOCOL"]);
    const storm = "HTTP/1.1 102 Processing\\r\\n\\r\\n";
    const stormy = await call(
      host.obeys,
      `while printf '${storm}${storm}${storm}${storm}'; do :; done; exit`,
      {
        runTimeoutMs: 5000,
      },
    );
    expect(stormy.status).toBeGreaterThanOrEqual(502);
    const nothing = await call(host.obeys, "exit");
    expect([nothing.status, nothing.code]).toEqual([502, "TASK_BROKE_OFF"]);
    // Once the head has been passed on, the only honest end is a broken connection; the contract's own path can still say why.
    const halves = [
      `${headed}Content-Length: 100\\r\\n\\r\\nhalf`,
      `${headed}Transfer-Encoding: chunked\\r\\n\\r\\n4\\r\\nhalf\\r\\nzz\\r\\n`,
    ];
    for (const half of halves) {
      expect([0, 502]).toContain((await call(host.obeys, say(half))).status);
      const { status, text } = await daemon.caller.post("/", {
        id: host.obeys,
        resource: { cpu: 0.2, mem: 32 },
        input: say(half),
      });
      expect([status, JSON.parse(text)]).toEqual([
        200,
        { success: false, msg: expect.stringMatching(/task/) },
      ]);
    }
    const evil =
      "Set-Cookie: a=b\\r\\nHearth-Error: X\\r\\nLocation: http://evil.example/\\r\\nX-Evil: yes\\r\\nAccess-Control-Allow-Origin: *\\r\\n";
    const dressed = await call(host.obeys, say(`${headed}${evil}Content-Length: 2\\r\\n\\r\\nok`));
    expect([dressed.status, dressed.text]).toEqual([200, "ok"]);
    for (const name of ["set-cookie", "hearth-error", "location", "x-evil", "access-control-allow-origin"])
      expect(dressed.headers[name], name).toBeUndefined();
    const died = await call(
      host.obeys,
      `printf '${headed}Content-Length: 100\\r\\n\\r\\nhalf'; ${dieBy("KILL")}`,
    );
    expect([0, 502]).toContain(died.status);
    expect((await call(host.obeys, "body=again")).text).toBe("again");
    await neighbourIsWell();
  }, 180_000);

  test("D7: a task that ignores SIGTERM is killed after its grace, and its orphaned processes are reaped", async () => {
    const deaf = await host.image("deaf", `trap '' TERM\n${SERVES}`);
    // The orphan alone: what the server has forked itself is the server's to reap, whenever it does.
    const zombies = `(sleep 0.05 &); body=1; looks=0
while [ $body != 0 ] && [ $looks -lt 100 ]; do
  sleep 0.1; looks=$((looks+1)); body=$(cat /proc/[0-9]*/stat | /bin/busybox grep -c '(sleep)')
done`;
    const warm = await call(deaf, zombies);
    expect([warm.status, warm.text]).toEqual([200, "0"]);
    const askedAtMs = performance.now();
    const evicted = await daemon.caller.send("DELETE", `/v1/sandboxes/${warm.sandboxId}`);
    expect(evicted.status).toBeLessThan(300);
    await poll(
      "its container is gone",
      async () => !(await daemon.realSandboxes()).includes(warm.sandboxId) || "not yet",
    );
    expect(performance.now() - askedAtMs).toBeLessThan(2000 + 2000 * SLACK);
  });

  test("D8: of a log that never ends the engine keeps a megabyte, the API its end, and the daemon nothing", async () => {
    const line = "0123456789012345678901234567890123456789012345678901234567890123456789";
    const loud = await host.image(
      "loud",
      `(yes ${line} | head -c 100000000; echo > /tmp/said; while :; do yes ${line} | head -c 100000; sleep 0.05; done) &\n${SERVES}`,
    );
    const before = await rssOf(daemon.daemon.child.pid ?? 0);
    const warm = await call(loud, "until [ -e /tmp/said ]; do sleep 0.1; done; body=warm", { cpu: 1 });
    expect([warm.status, warm.text]).toEqual([200, "warm"]);
    const label = (await list()).find(({ id }) => id === warm.sandboxId)?.label ?? "";
    const { LogPath } = (await host.docker.getContainer(label).inspect()) as { LogPath: string };
    expect(await bytesBelow(dirname(LogPath), "-json.log")).toBeLessThan(1.5 * MEBIBYTE);
    const tail = await daemon.caller.send("GET", `/v1/sandboxes/${warm.sandboxId}/logs`);
    expect([
      tail.headers["hearth-log-truncated"] === "true",
      tail.text.length > 1000,
      tail.text.length <= 65_536,
    ]).toEqual([true, true, true]);
    expect((await rssOf(daemon.daemon.child.pid ?? 0)) - before).toBeLessThan(50 * MEBIBYTE);
    await daemon.caller.send("DELETE", `/v1/sandboxes/${warm.sandboxId}?force=true`);
    await neighbourIsWell();
  }, 180_000);

  test("D9: an answer of 1 GB, an endless one and a slow drip are cut at the limit or the deadline, and nothing piles up", async () => {
    const before = await rssOf(daemon.daemon.child.pid ?? 0);
    const head = "printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 1073741824\\r\\n\\r\\n'";
    const big = await daemon.caller.post("/", {
      id: host.obeys,
      resource: { cpu: 0.2, mem: 32 },
      input: `${head}; cat /dev/zero; exit`,
    });
    expect(big.headers["hearth-error"]).toBe("ANSWER_TOO_LARGE");
    expect(JSON.parse(big.text)).toMatchObject({ success: false });
    const chunked = "printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'";
    const endless = `${chunked}; while printf '400\\r\\n%1024s\\r\\n' x; do :; done; exit`;
    const drip = `${chunked}; while printf '1\\r\\nx\\r\\n'; do sleep 0.1; done; exit`;
    for (const input of [endless, drip]) {
      const cut = await call(host.obeys, input, { runTimeoutMs: 6000 });
      expect([cut.status, cut.bytes > 0]).toEqual([0, true]);
      expect(cut.ms).toBeLessThan(6000 + 1000 * SLACK + 1000);
    }
    const dripped = await daemon.caller.post("/", {
      id: host.obeys,
      resource: { cpu: 0.2, mem: 32 },
      input: `${chunked}; while printf '10000\\r\\n%65536s\\r\\n' x; do :; done; exit`,
    });
    expect(dripped.headers["hearth-error"]).toBe("ANSWER_TOO_LARGE");
    expect((await rssOf(daemon.daemon.child.pid ?? 0)) - before).toBeLessThan(50 * MEBIBYTE);
    await neighbourIsWell();
  }, 180_000);

  // A disk that fills is not here: Docker caps a container's own layer only on some file systems, not on this one.
  test("D10: a fork bomb and a file bomb stay within their sandbox", async () => {
    const bomb = await call(host.obeys, "b() { b | b & }; b; sleep 600", { runTimeoutMs: 3000 });
    expect([502, 504]).toContain(bomb.status);
    await neighbourIsWell();
    const files = await call(
      host.obeys,
      'i=3; while eval "exec $i</dev/null" 2>/dev/null; do i=$((i+1)); done; body=$i',
    );
    expect(files.status === 200 ? Number(files.text) : 0).toBeLessThanOrEqual(1024);
    expect((await call(host.obeys, "body=again")).text).toBe("again");
    await neighbourIsWell();
  }, 180_000);

  test("D11: from inside, no privilege is to be had, no socket of an engine, and no neighbour, host port or metadata service", async () => {
    const listener = createServer((socket) => socket.end("reached\n"));
    await new Promise<void>((resolve) => listener.listen(0, "0.0.0.0", resolve));
    try {
      const { port } = listener.address() as { port: number };
      const other = (await list()).find(({ image }) => image === neighbour)?.label ?? "";
      const facts = await host.docker.getContainer(other).inspect();
      const mode = facts.HostConfig.NetworkMode ?? "";
      const joined = mode.startsWith("container:")
        ? await host.docker.getContainer(mode.slice("container:".length)).inspect()
        : facts;
      const address = Object.values(joined.NetworkSettings.Networks)[0]?.IPAddress ?? "";
      expect(address).toMatch(/^10\./);
      // The probe itself works where it may: the task's own port.
      const probes: Readonly<Record<string, string>> = {
        "(own port)": "nc -w 20 127.0.0.1 8080 </dev/null",
        "a mount": "mount -t tmpfs none /tmp",
        "a device": "/bin/busybox mknod /tmp/d b 8 0",
        "another owner": "echo x > /tmp/o && /bin/busybox chown 1:1 /tmp/o",
        "a raw socket": "ping -c 1 -W 1 127.0.0.1",
        "a kernel setting": "echo 1 > /proc/sys/kernel/panic",
        "a host name": "/bin/busybox hostname evil",
        "a namespace": "/bin/busybox unshare -m true",
        "an engine's socket": "ls /var/run/docker.sock /run/docker.sock",
        "a neighbour": `nc -w 1 ${address} 8080 </dev/null`,
        "the API": `nc -w 1 ${address.replace(/\.\d+$/, ".1")} ${new URL(daemon.daemon.baseUrl).port} </dev/null`,
        "the metadata service": "nc -w 1 169.254.169.254 80 </dev/null",
        "the outside": `nc -w 1 192.0.2.1 ${port} </dev/null`,
      };
      const script = Object.entries(probes)
        .map(([name, probe]) => `if ${probe} >/dev/null 2>&1; then body="$body${name};"; fi`)
        .join("\n");
      const probed = await call(host.obeys, `body=\n${script}`, { runTimeoutMs: 60_000 });
      expect([probed.status, probed.text]).toEqual([200, "(own port);"]);
    } finally {
      listener.close();
    }
  }, 180_000);

  test("D12: a task that crashes at every start is tried ever more seldom, and its callers are told when", async () => {
    const broken = await host.image("crashloop", "echo cannot; exit 3");
    const since = Math.floor(Date.now() / 1000);
    const answers = [];
    const untilMs = performance.now() + 5000;
    while (answers.length < 100 || performance.now() < untilMs) {
      answers.push(await call(broken, "body=1"));
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    const refused = answers.filter(({ code }) => code === "START_BACKOFF");
    expect(refused.length).toBeGreaterThan(80);
    for (const { status, headers, problem } of refused) {
      expect([
        status,
        Number(headers["retry-after"]) > 0,
        Number(problem?.facts["retryAfterMs"]) > 0,
      ]).toEqual([503, true, true]);
      expect(problem?.detail).toContain("exitCode 3");
    }
    const median = refused.map(({ ms }) => ms).sort((a, b) => a - b)[refused.length >> 1] ?? 0;
    expect(median).toBeLessThan(100 * SLACK);
    expect(answers.length - refused.length).toBeLessThanOrEqual(8);
    const events = await host.docker.getEvents({
      since,
      until: Math.ceil(Date.now() / 1000),
      filters: JSON.stringify({ event: ["start"], image: [broken] }),
    });
    let starts = 0;
    for await (const chunk of events)
      starts += String(chunk)
        .split("\n")
        .filter((line) => line !== "").length;
    expect(starts).toBeLessThanOrEqual(8);
    await neighbourIsWell();
  }, 180_000);
});

const SERVES = `nc -ll -p 8080 -e /handler & server=$!; echo $server > /tmp/server
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done; echo meca-init-done; wait $server`;

async function bytesBelow(folder: string, part: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => name.includes(part));
  // One may be gone since: the engine turns its files over all the time.
  const sizes = await Promise.all(
    names.map(async (name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
