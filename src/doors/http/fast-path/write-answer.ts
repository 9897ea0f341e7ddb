import type { Socket } from "node:net";
import type { LegacyAnswer } from "../legacy/legacy-answer.ts";

const STATUS_LINES = {
  200: "HTTP/1.1 200 OK\r\nContent-Length: ",
  400: "HTTP/1.1 400 Bad Request\r\nContent-Length: ",
} as const;

let dateSecond = 0;
let date = "";

/** Writes a whole answer. @returns whether the client keeps up; otherwise the socket will say `drain`. */
export function writeAnswer(socket: Socket, answer: LegacyAnswer, isLast: boolean): boolean {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = `\r\nDate: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  let head = STATUS_LINES[answer.status] + answer.length + date;
  const { headers, body } = answer;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  head += isLast ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n";
  // One string is the cheapest write; latin1 keeps its bytes.
  if (typeof body === "string") return socket.write(head + body, "latin1");
  socket.cork();
  let keepsUp = socket.write(head, "latin1");
  for (const piece of body) keepsUp = socket.write(piece);
  socket.uncork();
  return keepsUp && !socket.writableNeedDrain;
}
