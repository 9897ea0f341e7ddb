import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint, SandboxEnd } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { Readiness } from "./readiness.ts";
import { EndedEarly } from "./start-failure.ts";

const server = createServer((socket) => socket.destroy());
let endpoint: Endpoint;
let log: PassThrough;
let opened: number;
let end: (end: SandboxEnd) => void;

beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  endpoint = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  log = new PassThrough();
  opened = 0;
});
afterEach(async () => {
  if (!server.listening) return;
  server.close();
  await once(server, "close");
});

/** Of an engine, only what readiness asks of it: the container's log. */
function open(): Readiness {
  const openLog = (): Promise<PassThrough> => {
    opened += 1;
    return Promise.resolve(log);
  };
  const engine = { containers: { openLog } } as unknown as Engine;
  const ended = new Promise<SandboxEnd>((resolve) => {
    end = resolve;
  });
  return new Readiness(engine, "c1", { ended, forget: () => undefined }, false);
}

/** A line of standard output as an engine sends it. */
function print(text: string): void {
  const header = Buffer.alloc(8);
  header[0] = 1;
  header.writeUInt32BE(text.length, 4);
  log.write(Buffer.concat([header, Buffer.from(text)]));
}

describe("readiness", () => {
  test("defect 2: the log is read once, as it is written, and not again for each look", async () => {
    const ready = open().until(endpoint, Promise.resolve(), new AbortController().signal);
    for (let line = 0; line < 100; line += 1) {
      print(`line ${line}\n`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const part of ["meca-", "init-", "done\n"]) print(part);
    expect(await ready).toEqual([]);
    expect(opened).toBe(1);
  });

  test("defect 2: a container that ends while it is waited for ends the wait, mark or not", async () => {
    server.close();
    await once(server, "close");
    const ready = open().until(endpoint, Promise.resolve(), new AbortController().signal);
    print("meca-init-done\n");
    end({ type: "exited", exitCode: 3 });
    await expect(ready).rejects.toBeInstanceOf(EndedEarly);
  });

  test("defect 2: a port that never opens is waited for until the signal says so, and no longer", async () => {
    server.close();
    await once(server, "close");
    const late = new AbortController();
    const ready = open().until(endpoint, Promise.resolve(), late.signal);
    print("meca-init-done\n");
    const cause = new Error("its time is over");
    late.abort(cause);
    await expect(ready).rejects.toBe(cause);
  });

  test("M27: a time in which this machine stood still is no time in which the mark was missing", async () => {
    let probes = 0;
    const onProbe = (): void => {
      probes += 1;
      if (probes === 2) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100);
      if (probes === 5) print("meca-init-done\n");
    };
    server.on("connection", onProbe);
    try {
      expect(await open().until(endpoint, Promise.resolve(), new AbortController().signal)).toEqual([]);
    } finally {
      server.off("connection", onProbe);
    }
  });
});
