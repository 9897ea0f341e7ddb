import { script } from "../evaluate.ts";
import { COMMON } from "./common.ts";

/**
 * Renews `step.claims`, each `{stream, id, attempt, job}`. Returns the indexes (from 0) of those that are held no longer, and how many
 * are no longer in their streams and were not known to be.
 */
export const RENEW = `
function verbs.renew(step)
redis.call('SET', aliveKey(o.c), o.life, 'PX', o.lease)
local lost, vanished = {}, 0
for i, claim in ipairs(step.claims) do
  local stream, id = claim[1], claim[2]
  if not owns(stream, id, claim[3], claim[4]) then
    -- our own commit may have overtaken this renewal: then it is not lost, and its caller knows
    local record = completion(stream, id, claim[4])
    if not record or record.life ~= o.life then lost[#lost + 1] = i - 1 end
  else
    redis.call('EXPIRE', entryKey(stream, id), o.keep)
    if exists(stream, id) then
      -- FORCE: the group or our name in it may have been deleted meanwhile
      pcall(redis.call, 'XCLAIM', stream, o.g, o.c, 0, id, 'FORCE', 'JUSTID')
    elseif redis.call('HSETNX', entryKey(stream, id), 'vanished', 1) == 1 then
      vanished = vanished + 1
    end
  end
end
return {lost, vanished}
end
`;

/**
 * Gives `o.claims` back, and counts it where `o.failed`: they go to a name that stands for nobody, where every host
 * looks, and whoever waits is woken. Returns how many were ours.
 */
export const RELEASE = script(
  COMMON,
  `
local count = 0
for _, claim in ipairs(o.claims) do
  local stream, id = claim[1], claim[2]
  if owns(stream, id, claim[3], claim[4]) then
    redis.call('HSET', entryKey(stream, id), 'owner', '', 'life', '', 'reason', o.reason)
    if o.failed then redis.call('HINCRBY', entryKey(stream, id), 'failures', 1) end
    if exists(stream, id) then
      pcall(redis.call, 'XCLAIM', stream, o.g, RELEASED, 0, id, 'FORCE', 'JUSTID')
    else
      acknowledge(stream, id)
    end
    count = count + 1
  end
end
-- one who cannot be told looks for itself, a little later
if count > 0 then pcall(redis.call, 'XADD', HANDED_BACK, 'MAXLEN', 1, '*', 'count', count) end
return count
`,
);

/**
 * An own entry of an earlier life: its work goes on, or it is begun anew. Returns `{attempt, deaths}`, or nothing. Said again, because
 * the answer was lost on its way, it returns what it came to.
 */
export const RESUME = script(
  COMMON,
  `
local claim = o.claims[1]
local stream, id = claim[1], claim[2]
local key, step = entryKey(stream, id), o.anew and 1 or 0
local word = o.life .. ':' .. claim[3] .. ':' .. step
local isSaid = redis.call('HGET', key, 'resumed') == word
if not owns(stream, id, isSaid and claim[3] + step or claim[3], claim[4]) then return {} end
if not isSaid then
  if o.anew then
    redis.call('HINCRBY', key, 'attempt', 1)
  elseif tonumber(redis.call('HGET', key, 'deaths')) > 0 then
    redis.call('HINCRBY', key, 'deaths', -1)
  end
  redis.call('HSET', key, 'own', 0, 'resumed', word)
end
local h = redis.call('HMGET', key, 'attempt', 'deaths')
return {tonumber(h[1]), tonumber(h[2])}
`,
);

/**
 * Entries that nobody has touched for `o.minIdle` ms, in the hands of hosts that say nothing any more: `{stream, id, consumer,
 * idle}`. An entry without a hash is held by somebody who keeps no leases, such as the original tracker; it counts only after
 * `o.stranger` ms. `o.from[i]` is where to go on in each stream; returned anew as the second part.
 */
export const SCAN = script(
  COMMON,
  `
local found, from = {}, {}
for i, stream in ipairs(KEYS) do
  local at = o.from[i]
  from[i] = '-'
  local ok = pcall(function()
    for _ = 1, 10 do
      local page = redis.call('XPENDING', stream, o.g, 'IDLE', o.minIdle, at, '+', 100)
      for _, entry in ipairs(page) do
        local id, who, idle = entry[1], entry[2], entry[3]
        at = '(' .. id
        if who ~= o.c and who ~= RELEASED and redis.call('EXISTS', aliveKey(who)) == 0 then
          if redis.call('EXISTS', entryKey(stream, id)) == 1 or idle >= o.stranger then
            found[#found + 1] = {stream, id, who, idle}
          end
        end
      end
      if #page < 100 then return end
    end
    from[i] = at
  end)
  if not ok then from[i] = '-' end
end
return {found, from}
`,
);

/** Takes our name out of the groups of KEYS if it holds nothing in any of them. Returns 1, or 0 and nothing is changed. */
export const LEAVE = script(
  COMMON,
  `
for _, stream in ipairs(KEYS) do
  local ok, held = pcall(redis.call, 'XPENDING', stream, o.g, '-', '+', 1, o.c)
  if ok and held[1] then return 0 end
end
for _, stream in ipairs(KEYS) do pcall(redis.call, 'XGROUP', 'DELCONSUMER', stream, o.g, o.c) end
redis.call('DEL', aliveKey(o.c))
return 1
`,
);
