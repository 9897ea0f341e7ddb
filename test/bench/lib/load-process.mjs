// A closed loop for each connection: plain sockets, one prepared request, as little work for each answer as possible.
import { connect } from "node:net";

const { host, port, body, connections, seconds } = JSON.parse(process.argv[2]);
const request = Buffer.from(
  `POST / HTTP/1.1\r\nHost: ${host}:${port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
);
const latenciesUs = [];
let errors = 0;
const startMs = performance.now();
const endMs = startMs + seconds * 1000;
let open = connections;

function finish() {
  open -= 1;
  if (open > 0) return;
  const sorted = Float64Array.from(latenciesUs).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const perSecond = (latenciesUs.length / (performance.now() - startMs)) * 1000;
  process.stdout.write(`RESULT ${perSecond} ${at(0.5)} ${at(0.99)} ${errors}\n`);
}

for (let index = 0; index < connections; index += 1) {
  let sentMs = 0;
  let held = "";
  const socket = connect({ port, host, noDelay: true });
  const send = () => {
    sentMs = performance.now();
    socket.write(request);
  };
  socket.on("connect", send);
  socket.on("data", (chunk) => {
    held = held === "" ? chunk.latin1Slice() : held + chunk.latin1Slice();
    const end = held.indexOf("\r\n\r\n");
    if (end === -1) return;
    const length = Number(/content-length: (\d+)/i.exec(held)?.[1] ?? 0);
    if (held.length < end + 4 + length) return;
    if (!held.startsWith("HTTP/1.1 2")) errors += 1;
    held = "";
    const nowMs = performance.now();
    latenciesUs.push((nowMs - sentMs) * 1000);
    if (nowMs < endMs) send();
    else socket.destroy();
  });
  socket.on("error", () => {
    errors += 1;
  });
  socket.on("close", finish);
}
