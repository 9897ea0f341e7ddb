// Does what its input says: `port` tells its port, `sleep N` answers after N seconds, `hold` once somebody has said `release`,
// `ok BASE64` and `bad BASE64` answer those bytes with status 200 and 500, and everything else is echoed.
import { createServer } from "node:http";

const port = Number(process.env.PORT);
let release;
const released = new Promise((resolve) => {
  release = resolve;
});

async function answerTo(input) {
  const [verb, argument = ""] = input.split(" ", 2);
  if (verb === "port") return { body: String(port) };
  if (verb === "sleep") await new Promise((resolve) => setTimeout(resolve, Number(argument) * 1000));
  if (verb === "hold") await released;
  if (verb === "release") release();
  if (verb === "ok" || verb === "bad")
    return { status: verb === "ok" ? 200 : 500, body: Buffer.from(argument, "base64") };
  return { body: input };
}

createServer((request, reply) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const { status = 200, body } = await answerTo(Buffer.concat(chunks).toString());
    reply.writeHead(status, { "content-type": "application/octet-stream" }).end(body);
  });
}).listen(port, "0.0.0.0", () => console.log("meca-init-done"));
