import type { Base } from "./base.ts";
import { script } from "./evaluate.ts";
import type { Place } from "./names.ts";
import { readEntries } from "./replies.ts";

/** Adds one event to the stream of events unless it is there already, however many hosts carry it. */
const DELIVER = script(`
local o = cjson.decode(ARGV[1])
if not redis.call('SET', o.sent, 1, 'NX', 'EX', o.keep) then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', o.maxEvents, '*', 'type', o.type, 'json', o.json)
return 1
`);

const BATCH = 100;

/**
 * In a cluster the step that ends a job reaches only the slot of its stream: its events wait there. Carries them over to the
 * stream of events, each once and in their order, also those that a host left behind which died in between. Nothing to do on one server.
 */
export async function carryOver(base: Base, place: Place): Promise<void> {
  if (!base.isCluster || place.streams.length === 0) return;
  const outbox = base.outboxOf(place);
  for (;;) {
    const reply = await base.connection.send(["XRANGE", outbox, "-", "+", "COUNT", `${BATCH}`], {
      key: outbox,
    });
    const waiting = readEntries(reply);
    for (const { id, fields } of waiting) {
      const sent = `${base.eventsPlace.prefix}sent:${outbox}:${id}`;
      const more = { sent, type: fields["type"] ?? "", json: fields["json"] ?? "" };
      await base.run(DELIVER, base.eventsPlace, [base.limits.events], more);
      await base.connection.send(["XDEL", outbox, id], { key: outbox });
    }
    if (waiting.length < BATCH) return;
  }
}
