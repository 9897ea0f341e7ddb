import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { boundedServer } from "./http-server.ts";
import { DEFAULT_HTTP_LIMITS } from "./limits.ts";

const WRITE_TIMEOUT_MS = 30_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What the server sees of a connection: `due` comes after the time that its timer was last set to. */
class FakeSocket {
  bytesRead = 100;
  bytesWritten = 5_000_000;
  writableLength = 1_000_000;
  isDestroyed = false;
  passedMs = 0;
  #timerMs: number;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    this.#timerMs = server.timeout;
  }

  setTimeout(ms: number): void {
    this.#timerMs = ms;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  due(): void {
    vi.advanceTimersByTime(this.#timerMs);
    this.passedMs += this.#timerMs;
    this.#server.emit("timeout", this as never);
  }
}

function open(): { readonly server: Server; readonly socket: FakeSocket; answer(): EventEmitter } {
  const limits = { ...DEFAULT_HTTP_LIMITS, writeTimeoutMs: WRITE_TIMEOUT_MS };
  const { server } = boundedServer(limits, () => undefined);
  const socket = new FakeSocket(server);
  const answer = (): EventEmitter => {
    const response = new EventEmitter();
    server.emit("request", { socket } as never, response as never);
    return response;
  };
  return { server, socket, answer };
}

test("B2: a client that leaves its answer unread is cut off after its time, and not after twice that", () => {
  const { socket, answer } = open();
  answer();
  for (let looks = 0; !socket.isDestroyed && looks < 100; looks += 1) socket.due();
  expect(socket.isDestroyed).toBe(true);
  expect(socket.passedMs).toBeGreaterThanOrEqual(WRITE_TIMEOUT_MS);
  expect(socket.passedMs).toBeLessThan(1.2 * WRITE_TIMEOUT_MS);
});

test("a client that waits for its answer is left alone, and cut off if it leaves unread what comes then", () => {
  const { socket, answer } = open();
  answer();
  socket.writableLength = 0;
  for (let looks = 0; looks < 100; looks += 1) socket.due();
  expect(socket.isDestroyed).toBe(false);
  socket.writableLength = 1_000_000;
  socket.bytesWritten += 1_000_000;
  for (let looks = 0; looks < 7; looks += 1) socket.due();
  expect(socket.isDestroyed).toBe(false);
  socket.due();
  expect(socket.isDestroyed).toBe(true);
});

test("between two requests the time is over when it is due; before the first one it is that of a client that reads nothing", () => {
  const between = open();
  between.answer().emit("close");
  between.socket.due();
  expect(between.socket.isDestroyed).toBe(true);
  const first = open();
  first.socket.due();
  expect(first.socket.isDestroyed).toBe(false);
  for (let looks = 0; looks < 7; looks += 1) first.socket.due();
  expect(first.socket.isDestroyed).toBe(true);
});
