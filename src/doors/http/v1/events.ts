import type { HostEvent, Live } from "../../../contract/v1/events.ts";
import { NDJSON_TYPE, SSE_TYPE } from "../../../contract/v1/route.ts";
import type { StreamType } from "../answer/event-streams.ts";
import { jsonEvents, wantedStream } from "../answer/event-streams.ts";
import { sendJson } from "../answer/send-json.ts";
import type { Entry, EventRing } from "../feed/event-ring.ts";
import type { HostWatch, Look } from "../feed/host-watch.ts";
import type { Handler } from "./handler.ts";

const HEARTBEAT_MS = 15_000;
/** How many events are handed to one reader before others have their turn. */
const AT_ONCE = 64;

type Line = Pick<Entry, "print">;

/** Keeps a quiet connection open: what stands between passes it on, and a reader that is gone is noticed. */
const HEARTBEAT: Line = { print: (type) => (type === SSE_TYPE ? ": still here\n\n" : "\n") };

/** `GET /v1/events`. */
export const followEvents: Handler<"followEvents"> = async ({ streams, watch }, context, { query }) => {
  const type = wantedStream(context) ?? NDJSON_TYPE;
  const sent = context.request.headers["last-event-id"];
  const after = (typeof sent === "string" && sent !== "" ? sent : query.after)?.slice(0, 64);
  await streams.send(context, linesOf(type), (signal) =>
    watched(watch, events(watch.feed.ring, { after, recent: query.recent }, signal)),
  );
};

/** `GET /v1/live`. */
export const followLive: Handler<"followLive"> = async ({ streams, watch }, context) => {
  const type = wantedStream(context) ?? NDJSON_TYPE;
  await streams.send(context, linesOf(type), (signal) => watched(watch, looks(watch, signal)));
};

export const getAccess: Handler<"getAccess"> = ({ accessOf }, context) => {
  sendJson(context.response, 200, accessOf(context));
};

function linesOf(type: StreamType): { readonly contentType: string; print(line: Line): string } {
  return { contentType: jsonEvents(type).contentType, print: (line) => line.print(type) };
}

/** The same values, while the host is looked at. */
async function* watched<T>(watch: HostWatch, values: AsyncIterable<T>): AsyncGenerator<T> {
  const leave = watch.watch();
  try {
    yield* values;
  } finally {
    leave();
  }
}

/** A reader holds a number, not events: one that is slow finds that the ring has gone round, and is told so. */
async function* events(
  ring: EventRing,
  { after, recent }: { readonly after: string | undefined; readonly recent: number },
  signal: AbortSignal,
): AsyncGenerator<Line> {
  let next = after === undefined ? Math.max(ring.oldest, ring.next - recent) : ring.after(after);
  if (typeof next === "string") {
    yield gap(ring, ring.oldest, next);
    next = ring.oldest;
  }
  while (!signal.aborted) {
    const reading = ring.read(next, AT_ONCE);
    const [first] = reading.entries;
    if (reading.isLost && first !== undefined) yield gap(ring, first.seq, "overrun");
    yield* reading.entries;
    next = reading.next;
    if (next < ring.next) continue;
    await ring.wait(HEARTBEAT_MS, signal);
    if (next === ring.next) yield HEARTBEAT;
  }
}

/** Its id is that of the event before the first one that is left, so that going on after it misses nothing more. */
function gap(ring: EventRing, firstSeq: number, reason: Extract<HostEvent, { type: "gap" }>["reason"]): Line {
  return ring.entry(firstSeq - 1, { type: "gap", reason });
}

async function* looks(watch: HostWatch, signal: AbortSignal): AsyncGenerator<Line> {
  let seen = 0;
  for (;;) {
    const look = await watch.next(seen, signal);
    if (look === undefined || signal.aborted) return;
    const isNext = seen !== 0 && look.number === seen + 1;
    seen = look.number;
    yield isNext ? lineOf(look, "sample") : lineOf(look, "snapshot");
  }
}

const printed = new WeakMap<Live, { json: string; sse: string | undefined }>();

/** Many readers cost one encoding. */
function lineOf(look: Look, kind: "sample" | "snapshot"): Line {
  const live = kind === "sample" ? look.sample : look.snapshot();
  return {
    print(type) {
      let known = printed.get(live);
      if (known === undefined) {
        known = { json: JSON.stringify(live), sse: undefined };
        printed.set(live, known);
      }
      if (type !== SSE_TYPE) return `${known.json}\n`;
      known.sse ??= `event: ${live.type}\ndata: ${known.json}\n\n`;
      return known.sse;
    },
  };
}
