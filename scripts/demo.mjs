/** The demo itself; `scripts/demo.sh` has made sure that everything is installed and built. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const hearth = fileURLToPath(new URL("../dist/hearth.mjs", import.meta.url));
const WARM_CALLS = 200;
const START_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000;

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const folder = mkdtempSync(join(tmpdir(), "hearth-demo-"));
const [port, monitorPort] = await freePorts(2);
const base = `http://127.0.0.1:${port}`;
const env = {
  ...process.env,
  HEARTH_HOST: base,
  HEARTH_HTTP_HOST: "127.0.0.1",
  HEARTH_HTTP_PORT: String(port),
  HEARTH_MONITOR_PORT: String(monitorPort),
  HEARTH_STATE_DIR: join(folder, "state"),
  HEARTH_DRIVER: "process",
};
const daemon = startDaemon();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => daemon.child.kill("SIGTERM"));
let isGood = false;
try {
  await demo();
  isGood = true;
} catch (error) {
  console.error(`\nThe demo did not go as it should: ${error.message}`);
  console.error(`The daemon's log ends:\n${readFileSync(daemon.logFile, "utf8").slice(-3000)}`);
}
agent.destroy();
const code = await stopDaemon();
if (isGood && code !== 0) console.error(`\nThe daemon ended with status ${code} instead of 0.`);
isGood &&= code === 0;
rmSync(folder, { recursive: true, force: true });
if (isGood) {
  console.log(`
The daemon has stopped and left nothing behind. How to go on:

  ./hearth serve                        the daemon, on 127.0.0.1:2591 (with Docker, if an engine answers)
  ./hearth call echo hello              in another terminal
  ./hearth task new mine                a task of your own
  ./hearth doctor                       what this machine can isolate, measure and book
  ./hearth --help                       everything else; README.md has the tour`);
}
process.exitCode = isGood ? 0 : 1;

async function demo() {
  say("A daemon, without Docker:", "./hearth serve");
  await waitUntilHealthy();

  say("The sample `cpu` counts primes. The first call starts its server, as MECAnywhere clients call it:");
  const wish = { id: "cpu", input: "1000000" };
  console.log(`  $ curl -s ${base} -d '${JSON.stringify(wish)}'`);
  const cold = await callLegacy(wish);
  console.log(indent(cold.text));
  expectEqual(JSON.parse(cold.text), { success: true, msg: '{"below":1000000,"primes":78498}' });

  say("Called again, the server is warm:");
  const small = { id: "cpu", input: "100" };
  const times = [];
  for (let n = 0; n < WARM_CALLS; n += 1) times.push((await callLegacy(small)).ms);
  times.sort((a, b) => a - b);
  const warmMs = times[WARM_CALLS / 2];
  console.log(`  first call, with the start of its server   ${cold.ms.toFixed(0).padStart(8)} ms`);
  console.log(`  ${WARM_CALLS} warm calls, median                     ${warmMs.toFixed(2).padStart(8)} ms`);
  if (!(warmMs < cold.ms)) throw new Error("a warm call took as long as a cold one");

  say("The same through the command line, with another task:");
  const input = '{"hello":"world"}';
  const echoed = await run(["call", "echo", input]);
  expectEqual(echoed, input);

  say("What is warm now:");
  const table = await run(["ps"]);
  for (const task of ["cpu", "echo"]) {
    if (!table.includes(task)) throw new Error(`hearth ps does not list ${task}`);
  }
}

function say(text, command) {
  console.log(`\n${text}`);
  if (command !== undefined) console.log(`  $ ${command}`);
}

function startDaemon() {
  const config = join(folder, "demo.yaml");
  const logFile = join(folder, "daemon.log");
  writeFileSync(config, "timeout: 1\ncpu: 2\nmem: 512\n");
  const log = openSync(logFile, "w");
  const child = spawn(process.execPath, [hearth, "serve", "--config", config], {
    env,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const ended = new Promise((resolve) => child.once("exit", (status, signal) => resolve(status ?? signal)));
  return { child, logFile, ended };
}

async function waitUntilHealthy() {
  const until = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < until) {
    if (daemon.child.exitCode !== null)
      throw new Error(`the daemon ended with status ${daemon.child.exitCode}`);
    const answer = await fetch(`${base}/health`, { signal: AbortSignal.timeout(2000) }).catch(
      () => undefined,
    );
    if (answer?.status === 200) return;
    await sleep(50);
  }
  throw new Error("the daemon was not ready in time");
}

/** One kept-alive connection and no more: what is timed is the daemon and the task, not the client. */
async function callLegacy(call) {
  const body = JSON.stringify(call);
  const startedAt = performance.now();
  const text = await new Promise((resolve, reject) => {
    const options = {
      method: "POST",
      agent,
      timeout: CALL_TIMEOUT_MS,
      headers: { "content-length": Buffer.byteLength(body) },
    };
    const outgoing = request(base, options, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
      answer.once("error", reject);
    });
    outgoing.once("error", reject);
    outgoing.once("timeout", () => outgoing.destroy(new Error("the call was not answered in time")));
    outgoing.end(body);
  });
  return { text, ms: performance.now() - startedAt };
}

/** Runs the command line and shows it with its output. */
async function run(args) {
  const shown = args.map((argument) => (/^[\w.-]+$/.test(argument) ? argument : `'${argument}'`)).join(" ");
  console.log(`  $ ./hearth ${shown}`);
  const child = spawn(process.execPath, [hearth, ...args], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: CALL_TIMEOUT_MS,
  });
  const chunks = [];
  for await (const chunk of child.stdout) chunks.push(chunk);
  const status = child.exitCode ?? (await new Promise((resolve) => child.once("exit", resolve)));
  const text = Buffer.concat(chunks).toString("utf8").trimEnd();
  console.log(indent(text));
  if (status !== 0) throw new Error(`hearth ${args[0]} ended with status ${status}`);
  return text;
}

async function stopDaemon() {
  const { child, ended } = daemon;
  if (child.exitCode === null) child.kill("SIGTERM");
  const late = sleep(STOP_TIMEOUT_MS, "late", { ref: false });
  const first = await Promise.race([ended, late]);
  if (first !== "late") return first;
  child.kill("SIGKILL");
  await ended;
  return "SIGKILL: it did not stop in time";
}

function expectEqual(seen, wanted) {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`expected ${b} and saw ${a}`);
}

function indent(text) {
  return text.replace(/^/gm, "    ");
}

/** Ports that nobody listens on now. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
