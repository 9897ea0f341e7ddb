// Counts the primes below the number it is sent. The same input has the same answer, so its bytes can be hashed.
import { createServer } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";

const MOST = 50_000_000;
const SLICE = 1 << 16;

/** Sieves in slices and lets other calls in between: one long call must not hold up the rest. */
async function countPrimes(limit) {
  const isComposite = new Uint8Array(limit);
  let count = 0;
  for (let start = 2; start < limit; start += SLICE) {
    for (let n = start; n < Math.min(start + SLICE, limit); n += 1) {
      if (isComposite[n] === 1) continue;
      count += 1;
      for (let multiple = n * n; multiple < limit; multiple += n) isComposite[multiple] = 1;
    }
    await nextTurn();
  }
  return count;
}

async function read(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 1024) return "";
  }
  return text;
}

const server = createServer(async (request, response) => {
  const below = Number(await read(request));
  if (!Number.isInteger(below) || below < 0 || below > MOST) {
    response.writeHead(400).end(`send a whole number from 0 to ${MOST}\n`);
    return;
  }
  const primes = await countPrimes(below);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ below, primes }));
});

server.listen(Number(process.env.PORT ?? 8080), () => console.log("meca-init-done"));
process.once("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
