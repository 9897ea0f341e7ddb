import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";

const TAIL_BYTES = 16_384;
const LAST_WORDS_MS = 5_000;

/**
 * Runs one command to its end, its output into a log file (and on to the terminal when `isLoud`). Past the time limit its whole
 * process group is asked to end, then killed.
 *
 * @returns {Promise<{ code: number, tail: string, timedOut: boolean }>} code 127 when it could not be started.
 */
export async function runCommand(argv, { cwd, logFile, timeoutMs, env = {}, isLoud = false }) {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = createWriteStream(logFile);
  const [file, ...args] = argv;
  const child = spawn(file, args, {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0", ...env },
  });
  let tail = "";
  let timedOut = false;
  const take = (chunk) => {
    log.write(chunk);
    if (isLoud) process.stderr.write(chunk);
    tail = (tail + chunk.toString("utf8")).slice(-TAIL_BYTES);
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const passOn = (signal) => signalGroup(child.pid, signal);
  const onEnd = () => passOn("SIGTERM");
  process.once("SIGINT", onEnd).once("SIGTERM", onEnd);
  const timers = [
    setTimeout(() => {
      timedOut = true;
      passOn("SIGTERM");
    }, timeoutMs),
    setTimeout(() => passOn("SIGKILL"), timeoutMs + 20_000),
  ];
  const closed = new Promise((resolve) => child.once("close", resolve));
  const code = await new Promise((resolve) => {
    child.once("error", (error) => {
      take(Buffer.from(`${file}: ${error.message}\n`));
      resolve(127);
    });
    child.once("exit", (status, signal) => resolve(status ?? (signal === null ? 1 : 128)));
  });
  for (const timer of timers) clearTimeout(timer);
  process.off("SIGINT", onEnd).off("SIGTERM", onEnd);
  // A test that leaves a child behind must not hold the terminal: nothing of the group outlives its step.
  passOn("SIGKILL");
  // What was printed last may still be on its way; who has left the group and keeps the pipes open is heard no longer.
  const hearing = setTimeout(() => {
    child.stdout.destroy();
    child.stderr.destroy();
  }, LAST_WORDS_MS);
  await closed;
  clearTimeout(hearing);
  await new Promise((resolve) => log.end(resolve));
  return { code, tail, timedOut };
}

function signalGroup(pid, signal) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
