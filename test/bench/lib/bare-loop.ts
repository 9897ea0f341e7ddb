import { createClient } from "@redis/client";

/** What a consumer of Redis streams does at the least: the measure for everything that does more. */
export interface BareLoop extends AsyncDisposable {
  /** Reads and acknowledges `jobs` entries, `count` with each read, every acknowledgement awaited. @returns jobs per second. */
  drain(stream: string, jobs: number, count: number): Promise<number>;
  /** The same with a job in between, `atOnce` of them side by side, until nothing is left. @returns jobs per second. */
  work(stream: string, atOnce: number, run: () => Promise<void>): Promise<number>;
  /** Waits in a blocked read for one entry, which `send` adds. @returns microseconds from its sending to its arrival. */
  latencyUs(stream: string, send: () => Promise<unknown>): Promise<number>;
}

export const BARE_GROUP = "bare";

/** @throws what the client says when nothing listens there. */
export async function openBareLoop(port: number): Promise<BareLoop> {
  const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port } });
  client.on("error", () => undefined); // the command that meets it fails
  await client.connect();
  const readNow = async (
    stream: string,
    count: number,
    ...block: readonly string[]
  ): Promise<readonly string[]> => {
    const words = ["XREADGROUP", "GROUP", BARE_GROUP, "c", "COUNT", `${count}`, ...block];
    const reply = await client.sendCommand([...words, "STREAMS", stream, ">"]);
    const [[, entries]] = (reply as unknown as [[string, [string, string[]][]]] | null) ?? [["", []]];
    return entries.map(([id]) => id);
  };
  const read = async (stream: string, count: number): Promise<readonly string[]> =>
    await readNow(stream, count, "BLOCK", "5000");
  const ack = async (stream: string, id: string): Promise<void> => {
    await client.sendCommand(["XACK", stream, BARE_GROUP, id]);
  };
  return {
    async drain(stream, jobs, count) {
      const startMs = performance.now();
      for (let done = 0; done < jobs; ) {
        const ids = await read(stream, count);
        await Promise.all(ids.map(async (id) => await ack(stream, id)));
        done += ids.length;
      }
      return jobs / ((performance.now() - startMs) / 1000);
    },
    async work(stream, atOnce, run) {
      const startMs = performance.now();
      let jobs = 0;
      const loop = async (): Promise<void> => {
        for (;;) {
          const [id] = await readNow(stream, 1);
          if (id === undefined) return;
          await run();
          await ack(stream, id);
          jobs += 1;
        }
      };
      await Promise.all(Array.from({ length: atOnce }, loop));
      return jobs / ((performance.now() - startMs) / 1000);
    },
    async latencyUs(stream, send) {
      const reading = read(stream, 1);
      // Until the read is on the server, which is not what is measured.
      await new Promise((resolve) => setTimeout(resolve, 5));
      const startMs = performance.now();
      const sent = send();
      const ids = await reading;
      const tookMs = performance.now() - startMs;
      await sent;
      for (const id of ids) await ack(stream, id);
      return tookMs * 1000;
    },
    [Symbol.asyncDispose]() {
      client.destroy();
      return Promise.resolve();
    },
  };
}
