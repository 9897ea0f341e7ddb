import type { Readable } from "node:stream";

/** Who takes what a process prints. */
export interface OutputListener {
  /** @param bytes to be copied by whoever keeps them. */
  onBytes(bytes: Buffer): void;
  /** Called once, last: all has been told. */
  onClose(): void;
}

/** One of the streams that a process prints to. What comes before somebody listens is kept for him. */
export interface OutputStream {
  /** To be called once. */
  listen(listener: OutputListener): void;
  /** Asks for no more for now; what is on its way still comes. */
  pause(): void;
  resume(): void;
  /** Ends it, whoever still holds the other end, after what lies there by now. */
  close(): void;
}

/** The same of a child of this very process. */
export function outputOf(stream: Readable): OutputStream {
  return {
    listen({ onBytes, onClose }) {
      stream.on("data", onBytes);
      // A broken pipe is the end of the output, which `close` tells.
      stream.on("error", () => undefined);
      if (stream.closed) onClose();
      else stream.once("close", onClose);
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    // What lies in front of a daemon that stood still past its deadline is read first.
    close: () => void setImmediate(() => stream.destroy()),
  };
}
