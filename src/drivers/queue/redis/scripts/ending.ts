import { script } from "../evaluate.ts";
import { COMMON } from "./common.ts";

/**
 * Records `step.record` (JSON) as the completion of the job, publishes `step.list` of events and acknowledges, if this attempt is ours
 * and the job has no completion yet.
 */
export const COMMIT = `
function verbs.commit(step)
local claim = step.claim
local stream, id, attempt, job = claim[1], claim[2], claim[3], claim[4]
local done = redis.call('GET', doneKey(job))
if done then
  local record = cjson.decode(done)
  local isThis = record.entry == id and record.stream == stream and record.attempt == attempt and record.life == o.life
  if isThis then return 'committed' end
  acknowledge(stream, id)
  redis.call('DEL', entryKey(stream, id))
  return 'recorded'
end
if not owns(stream, id, attempt, job) then return 'lost' end
publish(step.list)
redis.call('SET', doneKey(job), step.record, 'EX', o.keep)
acknowledge(stream, id)
redis.call('DEL', entryKey(stream, id))
return 'committed'
end
`;

/** Puts the entry on the list of the dead with `o.reason`, publishes and acknowledges, if this attempt is ours. */
export const BURY = script(
  COMMON,
  `
local claim = o.claims[1]
local stream, id, attempt, job = claim[1], claim[2], claim[3], claim[4]
local key = entryKey(stream, id)
local h = redis.call('HMGET', key, 'over', 'attempt', 'life')
if h[1] and tonumber(h[2]) == attempt and h[3] == o.life then return 'committed' end
if redis.call('EXISTS', doneKey(job)) == 1 then
  acknowledge(stream, id)
  redis.call('DEL', key)
  return 'recorded'
end
if not owns(stream, id, attempt, job) then return 'lost' end
publish(o.list)
local now = redis.call('TIME')
local row = {'stream', stream, 'entry', id, 'job', job, 'reason', o.reason, 'deaths', o.deaths, 'host', o.c,
  'at', now[1] .. string.format('%03d', math.floor(tonumber(now[2]) / 1000))}
for _, text in ipairs(o.fields) do row[#row + 1] = text end
redis.call('XADD', o.dead, 'MAXLEN', '~', o.maxDead, '*', unpack(row))
redis.call('HSET', key, 'over', 'dead')
redis.call('EXPIRE', key, o.keep)
acknowledge(stream, id)
return 'committed'
`,
);

/**
 * Publishes `step.list`: with a claim only while it is ours, and once for its attempt, whichever life of the host has said so; without
 * one once for each `step.seq` of this life.
 */
export const PUBLISH = `
function verbs.publish(step)
local claim = step.claim
local key, mark = o.p .. 'publisher:' .. o.life, o.life .. ':' .. step.seq
if claim then
  if not owns(claim[1], claim[2], claim[3], claim[4]) then return 0 end
  key, mark = entryKey(claim[1], claim[2]), 'attempt:' .. claim[3]
end
if redis.call('HGET', key, 'seq') == mark then return 1 end
publish(step.list)
redis.call('HSET', key, 'seq', mark)
redis.call('EXPIRE', key, o.keep)
return 1
end
`;

/** Puts one dead entry, `o.id`, back on its stream; 1, or 0 if it is not on the list (any more). */
export const REPLAY = script(
  COMMON,
  `
-- an id that is none is on no list
local ok, found = pcall(redis.call, 'XRANGE', o.dead, o.id, o.id)
if not ok or not found[1] then return 0 end
local stream, fields = nil, {}
local row = found[1][2]
for at = 1, #row, 2 do
  if row[at] == 'stream' then stream = row[at + 1] end
  if string.sub(row[at], 1, 6) == 'field:' then
    fields[#fields + 1] = string.sub(row[at], 7)
    fields[#fields + 1] = row[at + 1]
  end
end
if not stream or #fields == 0 then return 0 end
redis.call('XADD', stream, '*', unpack(fields))
redis.call('XDEL', o.dead, o.id)
return 1
`,
);
