// A task for tests: its input is JavaScript, which may answer through `response` or return the answer's text.

import { writeSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const AsyncFunction = (async () => undefined).constructor;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const script = Buffer.concat(chunks).toString("utf8");
    try {
      const text = await new AsyncFunction("response", "require", "sleep", script)(response, require, sleep);
      if (!response.writableEnded && !response.headersSent) response.end(String(text));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
});
server.listen(Number(process.env.PORT), "0.0.0.0", () => writeSync(1, "meca-init-done\n"));
