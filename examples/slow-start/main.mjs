// Takes its time to come up, as a task does that loads a model. Like many real images it says that it is ready a moment
// before its server listens: a host that believes the line alone loses the first request.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const startMs = Number(process.env.START_MS ?? 5000);
const startedAt = Date.now();

process.once("SIGTERM", () => process.exit(0));
for (let left = startMs; left > 0; left -= 1000) {
  console.log(`loading, ${Math.ceil(left / 1000)} s to go`);
  await sleep(Math.min(left, 1000));
}
console.log("meca-init-done");
await sleep(Math.min(startMs, 300));

const server = createServer((request, response) => {
  request.resume().once("end", () => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ loadedInMs: Date.now() - startedAt >= startMs ? startMs : 0 }));
  });
});
server.listen(Number(process.env.PORT ?? 8080));
