// Loaded into the daemon before its own code: notes for how long its event loop came to no turn, and tells whoever connects. The
// daemon's own figures look ten times a second, so as not to keep it awake, and miss most of what is shorter.
import { openSync, readSync } from "node:fs";
import { createServer } from "node:net";
import { isMainThread } from "node:worker_threads";

const TURN_MS = 1;

/**
 * For how long the kernel has let this thread wait for a core, in milliseconds. The second figure of `schedstat`: the kernel's
 * "Scheduler Statistics".
 */
function openWaited() {
  const file = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const bytes = Buffer.alloc(128);
  return () => Number(bytes.latin1Slice(0, readSync(file, bytes, 0, bytes.length, 0)).split(" ")[1]) / 1e6;
}

function watchTurns(path) {
  const readWaited = openWaited();
  let [atMs, waitedMs] = [performance.now(), readWaited()];
  let longest = { ownMs: 0, wholeMs: 0 };
  const turn = () => {
    const [nowMs, nowWaitedMs] = [performance.now(), readWaited()];
    const wholeMs = Math.max(0, nowMs - atMs - TURN_MS);
    const ownMs = Math.max(0, wholeMs - (nowWaitedMs - waitedMs));
    longest = { ownMs: Math.max(longest.ownMs, ownMs), wholeMs: Math.max(longest.wholeMs, wholeMs) };
    [atMs, waitedMs] = [nowMs, nowWaitedMs];
  };
  setInterval(turn, TURN_MS).unref();
  const told = createServer((socket) => {
    turn();
    socket.end(JSON.stringify(longest));
    longest = { ownMs: 0, wholeMs: 0 };
  });
  told.listen(path).unref();
}

if (isMainThread) {
  const path = process.env.BENCH_LOOP_TURNS;
  // Only the daemon is meant, and nothing that it starts.
  delete process.env.NODE_OPTIONS;
  delete process.env.BENCH_LOOP_TURNS;
  watchTurns(path);
}
