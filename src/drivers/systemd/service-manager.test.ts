import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openServiceManager } from "./service-manager.ts";

/** Node cannot receive Unix datagrams, so another language does. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print("bound", flush=True)
while True:
    print(repr(s.recv(4096).decode()), flush=True)
`;
const hasPython = spawnSync("python3", ["--version"]).status === 0;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-notify-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.skipIf(!hasPython).each(["path", "abstract name"])(
  "systemd is told by %s when the daemon is ready, lives and stops (needs python3)",
  async (kind) => {
    const socket = kind === "path" ? join(folder, "notify") : `@hearth-test-${process.pid}`;
    const receiver = spawn("python3", ["-c", RECEIVER, socket], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe("bound");
      const manager = await openServiceManager({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: "1000000" });
      expect(manager).toMatchObject({ isListening: true, problem: undefined });
      manager.ready("takes\ncalls");
      const stop = new AbortController();
      const alive = manager.keepAlive(stop.signal);
      expect((await lines.next()).value).toBe("'READY=1\\nSTATUS=takes calls'");
      expect((await lines.next()).value).toBe("'WATCHDOG=1'");
      expect((await lines.next()).value).toBe("'WATCHDOG=1'");
      stop.abort(new Error("enough"));
      await expect(alive).rejects.toThrow("enough");
      manager.stopping();
      // It may have been fed once more meanwhile.
      let next: unknown = (await lines.next()).value;
      while (next === "'WATCHDOG=1'") next = (await lines.next()).value;
      expect(next).toBe("'STOPPING=1'");
      manager[Symbol.dispose]();
      manager.status("after the end");
    } finally {
      receiver.kill();
      await once(receiver, "exit");
    }
  },
);

test("where nobody asked, nothing is said", async () => {
  const manager = await openServiceManager({});
  expect(manager).toMatchObject({ isListening: false, problem: undefined });
  manager.ready("x");
  await manager.keepAlive(new AbortController().signal);
  manager[Symbol.dispose]();
});

test("a socket that nobody reads, or that cannot be named, harms nothing", async () => {
  const gone = await openServiceManager({ NOTIFY_SOCKET: join(folder, "nobody") });
  gone.ready("x");
  gone[Symbol.dispose]();
  const long = await openServiceManager({ NOTIFY_SOCKET: `/${"x".repeat(200)}` });
  expect(long).toMatchObject({ isListening: false, problem: expect.stringContaining("too long") });
});

test("a watchdog that waits for another process is not fed", async () => {
  const manager = await openServiceManager({
    NOTIFY_SOCKET: join(folder, "n"),
    WATCHDOG_USEC: "1000",
    WATCHDOG_PID: "1",
  });
  await manager.keepAlive(new AbortController().signal);
  manager[Symbol.dispose]();
});
