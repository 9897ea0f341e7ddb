import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendOn } from "./send-on.ts";

/** One call to the engine, as it passes. */
export interface ProxiedCall {
  readonly method: string;
  /** Without the API version: `/containers/create?name=x`. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** What becomes of a call. `loseReply`: the engine does it, and its answer is never seen. */
export type Fate =
  | { readonly type: "pass" }
  | { readonly type: "hang" }
  | { readonly type: "loseReply" }
  | { readonly type: "answer"; readonly status: number; readonly body: string; readonly thenHang?: boolean };

export const PASS: Fate = { type: "pass" };

/** An engine's socket with a script of faults in front of it. */
export interface EngineProxy extends AsyncDisposable {
  readonly socketPath: string;
  /** Every call so far. */
  readonly calls: readonly ProxiedCall[];
  /** Decides about each call; may wait. Default: all pass. */
  decide: (call: ProxiedCall) => Fate | Promise<Fate>;
  /** Breaks off the answers under way to these calls. */
  cut(which: (call: ProxiedCall) => boolean): void;
}

/** Listens on a socket of its own and passes calls on to the engine's. */
export async function openEngineProxy(engineSocketPath: string): Promise<EngineProxy> {
  const root = await mkdtemp(join(tmpdir(), "hx-"));
  const socketPath = join(root, "s");
  const calls: ProxiedCall[] = [];
  const open = new Map<ServerResponse, ProxiedCall>();
  const proxy = { decide: (_: ProxiedCall): Fate | Promise<Fate> => PASS };
  const serve = async (incoming: IncomingMessage, reply: ServerResponse): Promise<void> => {
    const path = (incoming.url ?? "").replace(/^\/v\d+\.\d+/, "");
    const call = { method: incoming.method ?? "", path, headers: incoming.headers };
    calls.push(call);
    open.set(reply, call);
    reply.on("close", () => open.delete(reply));
    const fate = await proxy.decide(call);
    if (fate.type === "hang") return;
    if (fate.type !== "answer") {
      forward(engineSocketPath, incoming, reply, fate.type === "pass");
      return;
    }
    reply.writeHead(fate.status, { "content-type": "application/json" });
    if (fate.thenHang === true) reply.write(fate.body);
    else reply.end(fate.body);
  };
  const server = createServer((incoming, reply) => {
    serve(incoming, reply).catch(() => reply.destroy());
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    socketPath,
    calls,
    get decide() {
      return proxy.decide;
    },
    set decide(decide) {
      proxy.decide = decide;
    },
    cut(which) {
      for (const [reply, call] of open) if (which(call)) reply.destroy();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      await rm(root, { recursive: true, force: true });
    },
  };
}

function forward(
  socketPath: string,
  incoming: IncomingMessage,
  reply: ServerResponse,
  isAnswered: boolean,
): void {
  const { method, headers, url } = incoming;
  const onward = request({ socketPath, method, headers, path: url, agent: false }, (answer) => {
    if (!isAnswered) {
      answer.resume();
      return;
    }
    reply.writeHead(answer.statusCode ?? 502, answer.headers);
    reply.flushHeaders();
    answer.pipe(reply);
    answer.on("error", () => reply.destroy());
  });
  onward.on("error", () => reply.destroy());
  reply.on("close", () => {
    if (isAnswered) onward.destroy();
  });
  sendOn(incoming, onward);
}
