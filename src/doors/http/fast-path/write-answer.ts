import type { Socket } from "node:net";
import { isWhole, type LegacyAnswer } from "../legacy/legacy-answer.ts";

const STATUS_LINES = { 200: "HTTP/1.1 200 OK\r\n", 400: "HTTP/1.1 400 Bad Request\r\n" } as const;

export const LAST_ANSWER = "Connection: close\r\n";

/** Tells clients how long they may leave the connection idle, as `node:http` does, so that they do not race its end. */
export function keepAliveLines(keepAliveMs: number): string {
  return `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n`;
}

let dateSecond = 0;
let date = "";

/**
 * Writes an answer, or only its head where the body comes in pieces.
 *
 * @param connection what the answer says of its connection: header lines with their ends.
 * @returns whether the client keeps up; otherwise the socket will say `drain`.
 */
export function writeAnswer(
  socket: Socket,
  { status, headers, body }: LegacyAnswer,
  connection: string,
): boolean {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  let head = STATUS_LINES[status] + date;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  head += connection;
  head += isWhole(body) ? `Content-Length: ${body.length}\r\n\r\n` : "Transfer-Encoding: chunked\r\n\r\n";
  // One string is the cheapest write; latin1 keeps its bytes.
  if (typeof body === "string") return socket.write(head + body, "latin1");
  if (!Buffer.isBuffer(body)) return socket.write(head, "latin1");
  socket.cork();
  socket.write(head, "latin1");
  const keepsUp = socket.write(body);
  socket.uncork();
  return keepsUp;
}

/** Writes one piece of a body in the chunked coding. */
export function writePiece(socket: Socket, piece: Buffer): boolean {
  socket.cork();
  socket.write(`${piece.length.toString(16)}\r\n`, "latin1");
  socket.write(piece);
  const keepsUp = socket.write("\r\n", "latin1");
  socket.uncork();
  return keepsUp;
}

/** What ends a body in the chunked coding. */
export const LAST_PIECE = "0\r\n\r\n";
