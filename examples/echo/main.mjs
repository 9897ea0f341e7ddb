// The smallest task: answers what it was sent, byte for byte.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (request.method !== "POST" || request.url !== "/") {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": request.headers["content-type"] ?? "application/json" });
  request.pipe(response);
});

server.listen(Number(process.env.PORT ?? 8080), () => console.log("meca-init-done"));
process.once("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
