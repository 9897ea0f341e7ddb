// Answers bit by bit, as server-sent events: a caller of `/v1` sees each as it is made, the legacy answer holds them all.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

async function read(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 1024) return "";
  }
  return text;
}

/** `{"count": 5, "everyMs": 200}`; both may be left out. */
function parse(text) {
  try {
    const { count = 5, everyMs = 200 } = text.trim() === "" ? {} : JSON.parse(text);
    const isGood =
      Number.isInteger(count) && count >= 0 && count <= 10_000 && everyMs >= 0 && everyMs <= 60_000;
    return isGood ? { count, everyMs } : undefined;
  } catch {
    return undefined;
  }
}

const server = createServer(async (request, response) => {
  const wish = parse(await read(request));
  if (wish === undefined) {
    response.writeHead(400).end('send {"count": 0 to 10000, "everyMs": 0 to 60000}\n');
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.flushHeaders();
  for (let n = 1; n <= wish.count && !response.destroyed; n += 1) {
    response.write(`event: tick\ndata: ${JSON.stringify({ n, of: wish.count })}\n\n`);
    if (n < wish.count) await sleep(wish.everyMs);
  }
  response.end("event: done\ndata: {}\n\n");
});

server.listen(Number(process.env.PORT ?? 8080), () => console.log("meca-init-done"));
process.once("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
