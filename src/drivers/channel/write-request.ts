import type { Socket } from "node:net";
import { type BodySource, ExecutorError } from "../../core/index.ts";
import type { ChannelExchange } from "./channel-exchange.ts";
import type { RequestHeads } from "./request-head.ts";

/** Up to here a body is copied behind its head into one write; above, the copy would cost more than the second write. */
const JOIN_LIMIT_BYTES = 16 * 1024;

/** A request on its way out. */
export interface RequestWrite {
  /** Whether all of it has been handed to the socket. */
  readonly isWhole: boolean;
  /** Whether it was one small write, which the kernel takes as a whole or not at all. */
  readonly isAtomic: boolean;
}

/**
 * Writes a request to a connected socket, pulling its body if it is a source.
 *
 * @param onFail what to do when the body breaks off; the connection cannot be used any more then.
 * @throws {@link ExecutorError} INPUT_INVALID before anything is written.
 */
export function writeRequest(
  socket: Socket,
  heads: RequestHeads,
  exchange: ChannelExchange,
  onFail: (error: Error) => void,
): RequestWrite {
  const { request } = exchange;
  const { body } = request;
  if (!(body instanceof Uint8Array))
    return pumpBody(socket, heads.write(request, body.length), body, exchange, onFail);
  const head = heads.write(request, body.byteLength);
  if (body.byteLength <= JOIN_LIMIT_BYTES) {
    // Latin1 maps each byte to one code unit and back, so any body survives this, and one string is the cheapest write.
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    socket.write(head + bytes.toString("latin1"), "latin1");
    return { isWhole: true, isAtomic: true };
  }
  socket.cork();
  socket.write(head, "latin1");
  socket.write(body);
  socket.uncork();
  return { isWhole: true, isAtomic: false };
}

function pumpBody(
  socket: Socket,
  head: string,
  source: BodySource,
  exchange: ChannelExchange,
  onFail: (error: Error) => void,
): RequestWrite {
  const state = { isWhole: false, isAtomic: false };
  let left = source.length;
  socket.write(head, "latin1");
  source.start({
    onData(chunk) {
      if (exchange.isOver || state.isWhole || chunk.byteLength === 0) return;
      if (left !== undefined) {
        left -= chunk.byteLength;
        if (left < 0) {
          onFail(brokenOff("the request body is longer than it said"));
          return;
        }
      }
      const hasRoom = left === undefined ? writeChunk(socket, chunk) : socket.write(chunk);
      if (!hasRoom) source.pause();
    },
    onEnd() {
      if (exchange.isOver || state.isWhole) return;
      if (left !== undefined && left > 0) {
        onFail(brokenOff("the request body is shorter than it said"));
        return;
      }
      state.isWhole = true;
      if (left === undefined) socket.write("0\r\n\r\n", "latin1");
    },
    onError(error) {
      if (!exchange.isOver && !state.isWhole) onFail(error);
    },
  });
  return state;
}

function writeChunk(socket: Socket, chunk: Uint8Array): boolean {
  socket.cork();
  socket.write(`${chunk.byteLength.toString(16)}\r\n`, "latin1");
  socket.write(chunk);
  const hasRoom = socket.write("\r\n", "latin1");
  socket.uncork();
  return hasRoom;
}

function brokenOff(reason: string): ExecutorError {
  return new ExecutorError("CALL_CANCELLED", { reason });
}
