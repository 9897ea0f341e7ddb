// What lies beyond a walled host: two TCP ports that say who they are and who came, and a name server that knows one address.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

const KNOWN = [203, 0, 113, 10];

const servers = [7070, 7071].map((port) =>
  createServer((socket) => {
    socket.on("error", () => undefined).end(`beyond ${socket.remoteAddress}`);
  }).listen(port, "0.0.0.0"),
);
await Promise.all(servers.map((one) => once(one, "listening")));
console.log("ready");
serveNames();

/** By its own address, as an answer must come from where the question went; that is given to us only after we have begun. */
function serveNames() {
  const names = createSocket("udp4");
  names.on("message", (query, from) => names.send(answerTo(query), from.port, from.address));
  names.on("error", () => {
    names.close();
    setTimeout(serveNames, 20);
  });
  names.bind(53, process.argv[2], () => console.log("names"));
}

/** RFC 1035, 4.1: the question again, and for type A one answer that points at its name. */
function answerTo(query) {
  const nameEnd = query.indexOf(0, 12) + 1;
  const isAddress = query.readUInt16BE(nameEnd) === 1;
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(isAddress ? 1 : 0, 6);
  head.fill(0, 8, 12);
  const answer = isAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...KNOWN] : [];
  return Buffer.concat([head, query.subarray(12, nameEnd + 4), Buffer.from(answer)]);
}
