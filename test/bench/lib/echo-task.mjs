// The task that is measured: the least that a Node server can do for a call. Asked for its port, it tells it.
import { createServer } from "node:http";

const port = process.env.PORT ?? "8080";
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const input = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    const body = input.length === 4 && input.toString() === "port" ? Buffer.from(port) : input;
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.end(body);
  });
});
server.listen(Number(port), () => process.stdout.write("meca-init-done\n"));
process.once("SIGTERM", () => process.exit(0));
