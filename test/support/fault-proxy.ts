import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, request } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendOn } from "./send-on.ts";

/** What an engine is asked to do, named as the daemon's own errors name it. */
const VERBS: readonly (readonly [string, string, RegExp])[] = [
  ["ping", "", /^\/_ping$/],
  ["version", "GET", /^\/version$/],
  ["info", "GET", /^\/info$/],
  ["events", "GET", /^\/events$/],
  ["create", "POST", /^\/containers\/create$/],
  ["start", "POST", /^\/containers\/[^/]+\/start$/],
  ["kill", "POST", /^\/containers\/[^/]+\/kill$/],
  ["pause", "POST", /^\/containers\/[^/]+\/pause$/],
  ["unpause", "POST", /^\/containers\/[^/]+\/unpause$/],
  ["list", "GET", /^\/containers\/json$/],
  ["inspect", "GET", /^\/containers\/[^/]+\/json$/],
  ["logs", "GET", /^\/containers\/[^/]+\/logs$/],
  ["stats", "GET", /^\/containers\/[^/]+\/stats$/],
  ["remove", "DELETE", /^\/containers\/[^/]+$/],
  ["pull", "POST", /^\/images\/create$/],
  ["image inspect", "GET", /^\/images\/.+\/json$/],
  ["distribution", "GET", /^\/distribution\//],
  ["network create", "POST", /^\/networks\/create$/],
  ["network list", "GET", /^\/networks$/],
  ["network remove", "DELETE", /^\/networks\/[^/]+$/],
];

export type Fault =
  /** The engine is not asked. */
  | { readonly type: "status"; readonly status: number; readonly message?: string }
  /** Asked after this long. */
  | { readonly type: "delay"; readonly ms: number }
  /** The engine does it, and the connection ends before its answer. */
  | { readonly type: "dropReply" }
  /** The answer ends after this many bytes of its body. */
  | { readonly type: "cut"; readonly bytes: number };

export interface FaultRule {
  /** One of the verbs, or `*`. */
  readonly verb: string;
  readonly fault: Fault;
  /** How often it strikes; without end unless given. */
  readonly times?: number;
  /** 0 to 1: how likely it strikes. Default 1. */
  readonly chance?: number;
}

/** Stands between a daemon and its engine's socket, and does as its rules say. */
export interface FaultProxy extends AsyncDisposable {
  readonly socketPath: string;
  /** The latest rule for a verb is asked first. */
  add(rule: FaultRule): void;
  /** Forgets every rule. */
  heal(): void;
  /** How often a verb was asked for, faults included. */
  count(verb: string): number;
  /** How often a rule struck since the last heal. */
  readonly struck: number;
  /** Ends every stream and connection that is open now. */
  cutAll(): void;
}

interface LiveRule extends FaultRule {
  left: number;
}

/** @param random 0 up to 1; decides where a rule has a chance. */
export async function openFaultProxy(
  enginePath: string,
  random: () => number = Math.random,
): Promise<FaultProxy> {
  const folder = await mkdtemp(join(tmpdir(), "hp-"));
  const socketPath = join(folder, "s");
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  let rules: LiveRule[] = [];
  let struck = 0;
  const pick = (verb: string): Fault | undefined => {
    const rule = rules.find(
      (one) => (one.verb === verb || one.verb === "*") && one.left > 0 && random() < (one.chance ?? 1),
    );
    if (rule === undefined) return undefined;
    rule.left -= 1;
    struck += 1;
    return rule.fault;
  };
  const server = createServer((incoming, outgoing) => {
    const verb = verbOf(incoming);
    counts.set(verb, (counts.get(verb) ?? 0) + 1);
    const fault = pick(verb);
    if (fault?.type === "status") {
      incoming.resume();
      outgoing.writeHead(fault.status, { "content-type": "application/json" });
      outgoing.end(JSON.stringify({ message: fault.message ?? `a fault of ${verb}` }));
    } else if (fault?.type === "delay") {
      const timer = setTimeout(() => forward(enginePath, incoming, outgoing, undefined), fault.ms);
      outgoing.once("close", () => clearTimeout(timer));
    } else forward(enginePath, incoming, outgoing, fault);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined); // the daemon has hung up; `close` follows
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    socketPath,
    add: (rule) => void rules.unshift({ ...rule, left: rule.times ?? Number.POSITIVE_INFINITY }),
    heal: () => {
      rules = [];
      struck = 0;
    },
    count: (verb) => counts.get(verb) ?? 0,
    get struck() {
      return struck;
    },
    cutAll,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      cutAll();
      await closed;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function verbOf({ method = "", url = "" }: IncomingMessage): string {
  const path = url.split("?")[0]?.replace(/^\/v\d+\.\d+/, "") ?? "";
  return (
    VERBS.find(([, verb, pattern]) => (verb === "" || verb === method) && pattern.test(path))?.[0] ??
    `${method} ${path}`
  );
}

function forward(
  socketPath: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault | undefined,
): void {
  const { method, url, headers } = incoming;
  const call = request({ socketPath, method, path: url, headers, agent: false });
  call.on("error", () => outgoing.destroy());
  // Whoever asked has gone: the engine need not answer any more.
  outgoing.once("close", () => call.destroy());
  call.on("response", (reply) => {
    if (fault?.type === "dropReply") {
      reply.resume();
      reply.once("end", () => outgoing.destroy());
      return;
    }
    outgoing.writeHead(reply.statusCode ?? 500, reply.headers);
    outgoing.flushHeaders();
    reply.on("error", () => outgoing.destroy());
    reply.once("aborted", () => outgoing.destroy());
    if (fault?.type !== "cut") {
      reply.pipe(outgoing);
      return;
    }
    let bytes = 0;
    reply.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= fault.bytes) outgoing.destroy();
      else outgoing.write(chunk);
    });
    reply.once("end", () => outgoing.end());
  });
  sendOn(incoming, call);
}
