// A host of the queue as a process of its own: `node --import tsx queue-host.ts PORT CONSUMER`. Claims one entry and says so; renews it
// in time until it is told to commit by a line on standard input, and says what became of that.
import { once } from "node:events";
import { completed, LEASE_MS, signal } from "../conformance/job-source/world.ts";
import { redisHost } from "./redis-world.ts";

const [, , port = "", consumer = ""] = process.argv;
const host = redisHost(consumer, {
  settings: { type: "single", address: { host: "127.0.0.1", port: Number(port) } },
});
const [claim] = await host.claim(1, 20_000, signal());
if (claim === undefined) throw new Error("nothing to claim");
process.stdout.write(`claimed ${claim.jobId} ${claim.attempt}\n`);
const told = once(process.stdin, "data");
for (let isTold = false; !isTold; ) {
  await host.renew([claim]);
  const pause = new Promise<boolean>((resolve) => setTimeout(resolve, LEASE_MS / 3, false));
  isTold = await Promise.race([pause, told.then(() => true)]);
}
process.stdout.write(`${await host.commit(claim, completed(claim.jobId, consumer))}\n`);
process.exit(0);
