// Does what its input says: `sleep N` answers after N seconds, `hold FILE` once there is such a file in its folder, `ok BASE64`
// and `bad BASE64` answer those bytes with status 200 and 500, `headers` answers the request's own as JSON, and everything
// else is echoed.
import { existsSync } from "node:fs";
import { createServer } from "node:http";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answerTo(input) {
  const [verb, argument = ""] = input.split(" ", 2);
  if (verb === "sleep") await pause(Number(argument) * 1000);
  if (verb === "hold") while (!existsSync(new URL(argument, import.meta.url))) await pause(20);
  if (verb === "ok" || verb === "bad")
    return { status: verb === "ok" ? 200 : 500, body: Buffer.from(argument, "base64") };
  return { body: input };
}

createServer((request, reply) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const input = Buffer.concat(chunks).toString();
    const { status = 200, body } =
      input === "headers" ? { body: JSON.stringify(request.headers) } : await answerTo(input);
    reply.writeHead(status, { "content-type": "application/octet-stream" }).end(body);
  });
}).listen(Number(process.env.PORT), "0.0.0.0", () => console.log("meca-init-done"));
