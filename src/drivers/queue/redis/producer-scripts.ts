import { script } from "./evaluate.ts";

/** KEYS events, stream · ARGV the most events, type, json, then the request's fields. @returns the id of the request's entry. */
export const ENQUEUE = script(`
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'type', ARGV[2], 'json', ARGV[3])
return redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
`);

/**
 * KEYS stream, events · ARGV the entry's id, the most events, type, json. @returns 1 if no group had been given the entry, which is
 * then gone; else 0, and nothing was changed.
 */
export const WITHDRAW = script(`
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local ms, seq = parts(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  for at = 1, #group, 2 do
    if group[at] == 'last-delivered-id' then
      local lastMs, lastSeq = parts(group[at + 1])
      if lastMs > ms or (lastMs == ms and lastSeq >= seq) then return 0 end
    end
  end
end
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'type', ARGV[3], 'json', ARGV[4])
return 1
`);

/** KEYS the list · ARGV the message, seconds until the list is forgotten, the most messages. */
export const COMMAND = script(`
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[3]) - 1)
return redis.call('EXPIRE', KEYS[1], ARGV[2])
`);
