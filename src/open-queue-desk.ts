/** Shows the stream door's queue on the HTTP door, which opens first. */
import { ExecutorError } from "./core/index.ts";
import type { QueueDesk } from "./doors/http/queue-desk.ts";
import type { StreamDoor } from "./doors/stream/open-stream-door.ts";

export interface OpeningDesk extends QueueDesk {
  /** From now on this door's queue is shown. */
  show(door: StreamDoor | undefined): void;
}

/** @param hostId what this host is called among the others. */
export function openQueueDesk(hostId: string): OpeningDesk {
  let shown: StreamDoor | undefined;
  const open = (): StreamDoor => {
    if (shown !== undefined) return shown;
    throw new ExecutorError("QUEUE_UNAVAILABLE", { reason: "this daemon still starts" });
  };
  return {
    hostId,
    show(door) {
      shown = door;
    },
    view: () => open().view(),
    hosts: async (signal) => await open().hosts(signal),
    deadLetters: async (limit, signal) => await open().source().deadLetters(limit, signal),
    replay: async (ids, signal) => await open().source().replay(ids, signal),
  };
}
