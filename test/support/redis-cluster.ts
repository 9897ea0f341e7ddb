import { createCluster } from "@redis/client";
import type { RedisSettings } from "../../src/drivers/queue/index.ts";
import { poll } from "./poll.ts";
import { openPrivateRedis, type PrivateRedis } from "./private-redis.ts";
import type { Ask } from "./redis-world.ts";

const NODES = 3;
const SLOTS = 16_384;

/** Three primaries that share all slots. */
export interface RedisCluster extends AsyncDisposable {
  readonly settings: RedisSettings;
  readonly nodes: readonly PrivateRedis[];
  /** The first argument after the command leads to the node. */
  readonly ask: Ask;
  flush(): Promise<void>;
}

export async function openRedisCluster(): Promise<RedisCluster> {
  const nodes: PrivateRedis[] = [];
  for (let at = 0; at < NODES; at += 1) {
    nodes.push(await openPrivateRedis({ args: ["--cluster-enabled", "yes"] }));
  }
  for (const [at, node] of nodes.entries()) {
    const first = Math.floor((SLOTS * at) / NODES);
    const end = Math.floor((SLOTS * (at + 1)) / NODES);
    const slots = Array.from({ length: end - first }, (_, slot) => String(first + slot));
    await node.ask("CLUSTER", "ADDSLOTS", ...slots);
    await nodes[0]?.ask("CLUSTER", "MEET", "127.0.0.1", String(node.port));
  }
  for (const node of nodes) {
    await poll("the cluster is whole", async () => {
      const info = String(await node.ask("CLUSTER", "INFO"));
      const isWhole = info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${NODES}`);
      return isWhole || info;
    });
  }
  const addresses = nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
  const client = createCluster({ RESP: 2, rootNodes: addresses.map((socket) => ({ socket })) });
  client.on("error", () => undefined); // the next command meets it
  await client.connect();
  return {
    settings: { type: "cluster", nodes: addresses },
    nodes,
    ask: async (...args) => await client.sendCommand(args[1], false, [...args]),
    flush: async () => {
      for (const node of nodes) await node.ask("FLUSHALL");
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      for (const node of nodes) await node[Symbol.asyncDispose]();
    },
  };
}
