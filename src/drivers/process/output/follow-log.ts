import { StringDecoder } from "node:string_decoder";
import type { LogChunk } from "../../../core/index.ts";
import type { LogRing, LogStream } from "./log-ring.ts";

/** What waits for a slow reader; beyond it the oldest is dropped, and a line in its place says so. */
const MOST_WAITING_BYTES = 262_144;

/**
 * The last `tailBytes`, then what comes. Ends with the log, or with the signal's reason. Output between two steps of a slow
 * reader is bounded: the task is never held up by somebody who looks on.
 */
export async function* followLog(
  ring: LogRing,
  tailBytes: number,
  signal: AbortSignal,
): AsyncGenerator<LogChunk, void, undefined> {
  signal.throwIfAborted();
  const waiting: LogChunk[] = [];
  let waitingBytes = 0;
  let droppedBytes = 0;
  let wake: () => void = () => undefined;
  const decoders: Record<LogStream, StringDecoder> = {
    stdout: new StringDecoder("utf8"),
    stderr: new StringDecoder("utf8"),
  };
  // Taken in one step with the subscription, so that nothing is shown twice or missed between the two.
  waiting.push(...ring.tailChunks(tailBytes));
  const unlisten = ring.listen({
    onOutput(stream, bytes) {
      waiting.push({ stream, text: decoders[stream].write(bytes) });
      waitingBytes += bytes.length;
      while (waitingBytes > MOST_WAITING_BYTES && waiting.length > 1) {
        const lost = Buffer.byteLength((waiting.shift() as LogChunk).text);
        waitingBytes -= lost;
        droppedBytes += lost;
      }
      wake();
    },
    onEnd: () => wake(),
  });
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      if (droppedBytes > 0) {
        yield { stream: "stderr", text: `\n[${droppedBytes} bytes of output not shown]\n` };
        droppedBytes = 0;
      }
      const chunk = waiting.shift();
      if (chunk !== undefined) {
        waitingBytes = Math.max(0, waitingBytes - Buffer.byteLength(chunk.text));
        if (chunk.text !== "") yield chunk;
      } else if (ring.hasEnded) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    unlisten();
    signal.removeEventListener("abort", onAbort);
  }
}
