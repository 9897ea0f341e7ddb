// The task that is measured: the least that a Node server can do for a call. Asked where it is, it tells that.
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";

const port = process.env.PORT ?? "8080";
const addresses = Object.values(networkInterfaces()).flatMap((all) =>
  all.filter(({ family }) => family === "IPv4").map(({ address }) => address),
);
const where = Buffer.from(
  JSON.stringify({ port: Number(port), addresses, token: `${process.pid} ${Math.random()}` }),
);
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const input = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    const body = input.length === 5 && input.toString() === "where" ? where : input;
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.end(body);
  });
});
server.listen(Number(port), () => process.stdout.write("meca-init-done\n"));
process.once("SIGTERM", () => process.exit(0));
