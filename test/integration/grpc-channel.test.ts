import { create } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerWritableStream, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import {
  type AllocationState,
  AllocationStateSchema,
  FunctionExecutor,
  HealthCheckResponseSchema,
} from "../../src/gen/function_executor_pb.js";
import type { Channel, ChannelOptions } from "../../src/std/grpc/open-channel.ts";
import { openChannel } from "../../src/std/grpc/open-channel.ts";
import { RPC_CODES } from "../../src/std/grpc/rpc-error.ts";
import { Scope } from "../../src/std/index.ts";
import { serviceDefinition } from "../support/indexify/grpc-service.ts";
import { poll } from "../support/poll.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";

type Watch = ServerWritableStream<unknown, AllocationState>;

interface TestPeer extends AsyncDisposable {
  readonly port: number;
  readonly channel: Channel;
  /** The streams that were cancelled by us. */
  readonly cancelled: Watch[];
  /** Answers of `check_health`; none while false. */
  answers: boolean;
}

/** A worker that answers with words of any size, or not at all. */
async function openPeer(
  onWatch: (stream: Watch) => void = () => undefined,
  over: Partial<ChannelOptions> = {},
): Promise<TestPeer> {
  const scope = new Scope();
  const cancelled: Watch[] = [];
  const server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  const peer = { answers: true };
  server.addService(serviceDefinition(FunctionExecutor), {
    check_health: (_: unknown, done: (error: null, answer: unknown) => void) => {
      if (peer.answers) done(null, create(HealthCheckResponseSchema, { healthy: true }));
    },
    send_allocation_update: (_: unknown, done: (error: null, answer: object) => void) => done(null, {}),
    watch_allocation_state: (stream: Watch) => {
      stream.on("cancelled", () => cancelled.push(stream));
      onWatch(stream);
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  scope.defer(() => server.forceShutdown());
  const channel = scope.use(
    openChannel({
      address: `127.0.0.1:${port}`,
      tls: undefined,
      maxSendBytes: 32 * 1024 * 1024,
      maxReceiveBytes: 32 * 1024 * 1024,
      keepalive: undefined,
      reconnect: { firstMs: 50, maxMs: 200 },
      ...over,
    }),
  );
  return Object.assign(peer, {
    ...{ port, channel, cancelled },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  });
}

const never = new AbortController().signal;
const stateOf = (text: string) => create(AllocationStateSchema, { sha256Hash: text });
const watch = (channel: Channel, signal = never) =>
  channel.watch(FunctionExecutor.method.watch_allocation_state, { allocationId: "a" }, signal);
const update = (channel: Channel, bytes: number) =>
  channel.call(
    FunctionExecutor.method.send_allocation_update,
    { allocationId: "a".repeat(bytes) },
    { deadlineMs: 60_000, signal: never },
  );
const health = (channel: Channel, deadlineMs = 60_000) =>
  channel.call(FunctionExecutor.method.check_health, {}, { deadlineMs, signal: never });

test("messages of 5 MB pass both ways; one over the limit fails alone, and the channel stays as it was", async () => {
  const sizes = [5_000_000, 40_000_000, 1];
  await using peer = await openPeer((stream) => {
    stream.write(stateOf("x".repeat(sizes.shift() ?? 0)));
    stream.end();
  });
  const { channel } = peer;
  const lengths = async (): Promise<number[]> => {
    const found: number[] = [];
    for await (const state of watch(channel)) found.push(state.sha256Hash?.length ?? 0);
    return found;
  };
  expect(await lengths()).toEqual([5_000_000]);
  await expect(lengths()).rejects.toMatchObject({ code: RPC_CODES.resourceExhausted });
  expect(await lengths()).toEqual([1]);
  await update(channel, 5_000_000);
  await expect(update(channel, 40_000_000)).rejects.toMatchObject({ code: RPC_CODES.resourceExhausted });
  await update(channel, 1);
});

test("a call that is not answered ends at its deadline; one that nobody wants any more with that reason", async () => {
  await using peer = await openPeer();
  peer.answers = false;
  await expect(health(peer.channel, 50)).rejects.toMatchObject({ code: RPC_CODES.deadlineExceeded });
  const controller = new AbortController();
  const given = peer.channel.call(
    FunctionExecutor.method.check_health,
    {},
    { deadlineMs: undefined, signal: controller.signal },
  );
  controller.abort(new Error("nobody asks"));
  await expect(given).rejects.toThrow("nobody asks");
  peer.answers = true;
  expect((await health(peer.channel)).healthy).toBe(true);
});

test("a connection that is open on this side only is noticed by a ping, and the next call makes another", async () => {
  await using peer = await openPeer();
  await using proxy = await openTcpProxy(peer.port);
  using channel = openChannel({
    address: `127.0.0.1:${proxy.port}`,
    tls: undefined,
    maxSendBytes: -1,
    maxReceiveBytes: -1,
    // Long enough for a machine that stands still before the connection is frozen.
    keepalive: { idleMs: 1000, timeoutMs: 4000 },
    reconnect: { firstMs: 50, maxMs: 200 },
  });
  await health(channel);
  proxy.freeze();
  // Without a deadline of its own: only the ping ends it.
  const stuck = channel.call(
    FunctionExecutor.method.check_health,
    {},
    { deadlineMs: undefined, signal: never },
  );
  await expect(stuck).rejects.toMatchObject({ code: RPC_CODES.unavailable });
  proxy.heal();
  await poll(
    "it is there again",
    async () => (await health(channel).catch(() => undefined))?.healthy || "not yet",
  );
  expect(proxy.connections).toBeGreaterThan(1);
});

test("a peer that is not there is told at once, in words for an operator", async () => {
  await using peer = await openPeer();
  await using proxy = await openTcpProxy(peer.port);
  using channel = openChannel({
    address: `127.0.0.1:${proxy.port}`,
    tls: undefined,
    ...{ maxSendBytes: -1, maxReceiveBytes: -1, keepalive: undefined },
    reconnect: { firstMs: 50, maxMs: 200 },
  });
  await proxy[Symbol.asyncDispose]();
  await expect(health(channel)).rejects.toMatchObject({
    code: RPC_CODES.unavailable,
    details: expect.stringMatching(/^no connection: connect ECONNREFUSED 127\.0\.0\.1:\d+$/) as string,
  });
});

test("a stream is read in order to its end, to its failure, and no further than its reader wants", async () => {
  await using peer = await openPeer((stream) => {
    for (let index = 0; index < 100; index += 1) stream.write(stateOf(String(index)));
    stream.emit("error", { code: status.UNKNOWN, details: "broke" });
  });
  const read: (string | undefined)[] = [];
  const all = async (): Promise<void> => {
    for await (const { sha256Hash } of watch(peer.channel)) read.push(sha256Hash);
  };
  await expect(all()).rejects.toMatchObject({ code: RPC_CODES.unknown, details: "broke" });
  expect(read).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
  for await (const { sha256Hash } of watch(peer.channel)) {
    expect(sha256Hash).toBe("0");
    break;
  }
});

test("a reader who has enough lets its stream end by itself; one that does not end is hung up on", async () => {
  let isEnding = true;
  await using peer = await openPeer((stream) => {
    stream.write(stateOf("last"));
    if (isEnding) setTimeout(() => stream.end(), 20);
  });
  const readOne = async (): Promise<void> => {
    for await (const { sha256Hash } of watch(peer.channel)) {
      expect(sha256Hash).toBe("last");
      return;
    }
  };
  await readOne();
  await health(peer.channel);
  isEnding = false;
  await readOne();
  await poll("the second is hung up on", () => peer.cancelled.length > 0 || "not yet");
  expect(peer.cancelled).toHaveLength(1);
});

test("a stream that nobody wants any more ends with that reason, and its peer is told", async () => {
  await using peer = await openPeer((stream) => stream.write(stateOf("first")));
  const controller = new AbortController();
  const reading = (async () => {
    for await (const { sha256Hash } of watch(peer.channel, controller.signal)) {
      expect(sha256Hash).toBe("first");
      controller.abort(new Error("enough"));
    }
  })();
  await expect(reading).rejects.toThrow("enough");
  await poll("the peer hears of it", () => peer.cancelled.length === 1 || "not yet");
});
