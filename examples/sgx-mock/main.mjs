// Acts like an SGX task: evidence at `GET /ra`, encrypted input at `POST /run`. A MOCK: it runs in no enclave, and its host can
// read all that it does. The key is made anew by each process, so what is sealed for one server is of no use to another.
import { statSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { makeEvidence, measure, newKeys, open, seal } from "./sealing.mjs";

const DEVICE = "/dev/sgx/enclave";
const AESM_SOCKET = "/var/run/aesmd/aesm.socket";
const LIMIT = 1024 * 1024;

const measurement = measure();
const keys = newKeys();
/** What it has seen so far. */
const counters = { attested: 0, answered: 0, refused: 0 };

async function read(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > LIMIT) throw new Error("the input is too long");
  }
  return text;
}

/** The work itself, on what nobody outside is meant to see. */
function work(text) {
  const { numbers } = JSON.parse(text);
  if (!Array.isArray(numbers) || !numbers.every(Number.isFinite)) throw new Error("send {numbers: [...]}");
  return JSON.stringify({ sum: numbers.reduce((sum, n) => sum + n, 0) });
}

async function run(request) {
  const sealed = JSON.parse(await read(request));
  const answer = work(open(sealed, "request", keys, sealed.publicKey));
  counters.answered += 1;
  return seal(answer, "answer", keys, sealed.publicKey);
}

/** What of SGX this process can see: where it runs as it should, a device and a service that answers. */
async function sight() {
  const isDevice = statSync(DEVICE, { throwIfNoEntry: false })?.isCharacterDevice() === true;
  const isAesmThere = await new Promise((resolve) => {
    const socket = connect(AESM_SOCKET, () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
  return { publicKey: keys.publicKey, ...counters, isDevice, isAesmThere };
}

function send(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const server = createServer(async (request, response) => {
  try {
    if (request.method === "GET" && request.url === "/ra") {
      counters.attested += 1;
      send(response, 200, makeEvidence(measurement, keys.publicKey));
    } else if (request.method === "POST" && request.url === "/run") send(response, 200, await run(request));
    else if (request.method === "POST" && request.url === "/counters") send(response, 200, await sight());
    else send(response, 404, { error: "GET /ra, POST /run or POST /counters" });
  } catch (error) {
    counters.refused += 1;
    send(response, 400, { error: `not sealed for this server, or no input: ${error.message}` });
  }
});

server.listen(Number(process.env.PORT ?? 8080), () => console.log("meca-init-done"));
process.once("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
