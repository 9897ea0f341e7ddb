/** Shows the stream door's queue on the HTTP door, which opens first. */
import { ExecutorError } from "./core/index.ts";
import type { QueueDesk } from "./doors/http/queue-desk.ts";
import type { StreamDoor } from "./doors/stream/open-stream-door.ts";
import { showNoQueue } from "./doors/stream/show-queue.ts";

const STARTING = "this daemon still starts";

export interface OpeningDesk extends QueueDesk {
  /** From now on this door's queue is shown. */
  show(door: StreamDoor | undefined): void;
}

/** @param hostId what this host is called among the others. */
export function openQueueDesk(hostId: string): OpeningDesk {
  let shown: StreamDoor | undefined;
  const open = (): StreamDoor => {
    if (shown !== undefined) return shown;
    throw new ExecutorError("QUEUE_UNAVAILABLE", { reason: STARTING });
  };
  return {
    hostId,
    show(door) {
      shown = door;
    },
    view: () => shown?.view() ?? showNoQueue(STARTING),
    hosts: async (signal) => await open().hosts(signal),
    deadLetters: async (limit, signal) => await open().source().deadLetters(limit, signal),
    replay: async (ids, signal) => await open().source().replay(ids, signal),
  };
}
