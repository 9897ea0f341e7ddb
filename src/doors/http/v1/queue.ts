import type { DeadLetters, Fleet, Queue } from "../../../contract/v1/queue.ts";
import { ExecutorError } from "../../../core/index.ts";
import { withDeadline } from "../../../std/index.ts";
import { sendJson } from "../answer/send-json.ts";
import type { DoorParts } from "../parts.ts";
import type { QueueDesk } from "../queue-desk.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";

/** How long a queue that is slow may take to answer. */
const PATIENCE_MS = 10_000;

const NOTHING: Queue = {
  isOn: false,
  state: "off",
  streams: [],
  figures: {
    claimed: 0,
    takenOver: 0,
    released: 0,
    committed: 0,
    lost: 0,
    deadLettered: 0,
    vanished: 0,
    reconnects: 0,
    emptied: 0,
    buffered: 0,
  },
  jobs: [],
};

export const getQueue: Handler<"getQueue"> = ({ options }, { response }) => {
  sendJson(response, 200, options.queue?.view() ?? NOTHING);
};

export const listDeadJobs: Handler<"listDeadJobs"> = async (parts, { response }, { query }) => {
  const desk = deskOf(parts);
  const found = await patiently(async (signal) => await desk.deadLetters(query.limit, signal));
  const answer: DeadLetters = {
    letters: found.map((letter) => ({ ...letter, fields: { ...letter.fields } })),
  };
  sendJson(response, 200, answer);
};

export const replayDeadJobs: Handler<"replayDeadJobs"> = async (parts, context, { body }) => {
  const desk = deskOf(parts);
  const ids = "all" in body ? "all" : body.ids;
  const replayed = await patiently(async (signal) => await desk.replay(ids, signal));
  audit(parts, context, "replay", { ids: ids === "all" ? ids : ids.slice(0, 20), replayed });
  sendJson(context.response, 200, { replayed });
};

export const getFleet: Handler<"getFleet"> = async (parts, { response }) => {
  const desk = deskOf(parts);
  const hosts = await patiently(async (signal) => await desk.hosts(signal));
  const answer: Fleet = {
    self: desk.hostId,
    hosts: hosts.map((host) => ({
      ...host,
      labels: { ...host.labels },
      warm: [...host.warm],
      executerTypes: [...host.executerTypes],
    })),
  };
  sendJson(response, 200, answer);
};

function deskOf({ options }: DoorParts): QueueDesk {
  if (options.queue !== undefined) return options.queue;
  throw new ExecutorError("QUEUE_OFF", { reason: "the stream door is not open (docs/stream.md)" });
}

async function patiently<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return await withDeadline({ ms: PATIENCE_MS, code: "QUEUE_UNAVAILABLE" }, ask);
}
