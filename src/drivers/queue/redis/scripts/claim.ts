import { script } from "../evaluate.ts";
import { COMMON } from "./common.ts";

/**
 * Hands out at most `o.n` entries of the streams in KEYS, in their order. `o.suffix[i]` makes ids of entries without one.
 * `o.own`: look for entries that are pending to us, all but those in `o.held`; `o.only`: for nothing else. `o.take`: `{stream, id, consumer}` that were judged
 * dead, to be judged again here. `o.pass`: entries that were handed back because this host cannot run them.
 *
 * Returns claims, failures as `{stream, reason}`, how many had vanished, were taken over and were over already, and for each stream
 * the last entry that the group has been given, or '' if that is not known; and the same for the stream that says that something
 * was handed back, with its name.
 */
export const CLAIM = script(
  COMMON,
  `
local left, claims, failures, vanished, taken, over = o.n, {}, {}, 0, 0, 0
local held, pass = {}, {}
for _, name in ipairs(o.held) do held[name] = true end
for _, name in ipairs(o.pass) do pass[name] = true end
-- refused by a server that is out of memory, before anything was claimed
redis.call('SET', aliveKey(o.c), o.life, 'PX', o.lease)

local function jobOf(fields, id, suffix)
  for i = 1, #fields, 2 do
    if fields[i] == 'id' then
      local job = fields[i + 1]
      if #job <= 128 and string.match(job, '^[%w][%w._-]*$') and not string.find(job, '..', 1, true) then return job end
    end
  end
  return id .. '.' .. suffix
end

-- decides about one entry that is pending to us now
local function decide(stream, suffix, id, fields, how)
  local job = jobOf(fields, id, suffix)
  local key = entryKey(stream, id)
  local h = redis.call('HMGET', key, 'attempt', 'deaths', 'owner', 'life', 'over', 'failures', 'own')
  if h[5] or redis.call('EXISTS', doneKey(job)) == 1 then
    acknowledge(stream, id)
    over = over + 1
    return
  end
  local attempt, deaths, own = tonumber(h[1] or 0), tonumber(h[2] or 0), 0
  local owner = h[3]
  if owner == '' then owner = false end
  if owner == o.c then
    if h[4] == o.life then
      if held[stream .. ' ' .. id] then return end
      -- claimed by this life, and the answer was lost on its way: the same attempt, and nobody died but an earlier life
      own = tonumber(h[7] or 0)
    else
      own, deaths = 1, deaths + 1
    end
  elseif owner and how ~= 'dead' and redis.call('EXISTS', aliveKey(owner)) == 1 then
    -- the group was made anew and gives out what somebody holds: back to its holder
    redis.call('XCLAIM', stream, o.g, owner, 0, id, 'JUSTID')
    return
  else
    attempt = attempt + 1
    if owner or how == 'dead' then
      deaths = deaths + 1
      taken = taken + 1
    end
  end
  redis.call('HSET', key, 'attempt', attempt, 'deaths', deaths, 'owner', o.c, 'life', o.life, 'job', job, 'own', own)
  redis.call('EXPIRE', key, o.keep)
  claims[#claims + 1] = {stream, id, job, attempt, deaths, own, fields, tonumber(h[6] or 0)}
  left = left - 1
end

-- what is pending already, to whomever
local function take(stream, suffix, id, how)
  local got = redis.call('XCLAIM', stream, o.g, o.c, 0, id)
  if got[1] and got[1][2] then
    decide(stream, suffix, id, got[1][2], how)
  else
    redis.call('XACK', stream, o.g, id)
    -- whoever held it may have told already
    if not redis.call('HGET', entryKey(stream, id), 'vanished') then vanished = vanished + 1 end
    redis.call('DEL', entryKey(stream, id))
  end
end

local function takeOwn(stream, suffix)
  local from = '-'
  while left > 0 do
    local page = redis.call('XPENDING', stream, o.g, from, '+', 100, o.c)
    for _, entry in ipairs(page) do
      if left > 0 and not held[stream .. ' ' .. entry[1]] then take(stream, suffix, entry[1], 'own') end
      from = '(' .. entry[1]
    end
    if #page < 100 then break end
  end
end

local function takeReleased(stream, suffix)
  -- so many that, if there are any that are not passed over, some of them are among these
  local page = redis.call('XPENDING', stream, o.g, '-', '+', left + #o.pass, RELEASED)
  for _, entry in ipairs(page) do
    if left > 0 and not pass[stream .. ' ' .. entry[1]] then take(stream, suffix, entry[1], 'released') end
  end
  -- whoever counts consumers counts hosts
  if #page > 0 and #redis.call('XPENDING', stream, o.g, '-', '+', 1, RELEASED) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, o.g, RELEASED)
  end
end

local function takeDead(stream, suffix)
  for _, one in ipairs(o.take) do
    if left > 0 and one[1] == stream then
      local who, idle = pending(stream, one[2])
      if who == one[3] and idle >= o.lease and redis.call('EXISTS', aliveKey(who)) == 0 then
        take(stream, suffix, one[2], 'dead')
      end
    end
  end
end

local function takeNew(stream, suffix)
  for _ = 1, 20 do
    if left <= 0 then return end
    local got = redis.call('XREADGROUP', 'GROUP', o.g, o.c, 'COUNT', left, 'STREAMS', stream, '>')
    if not got or not got[1] then return end
    for _, entry in ipairs(got[1][2]) do
      if entry[2] then decide(stream, suffix, entry[1], entry[2], 'new') end
    end
  end
end

for _, step in ipairs({takeOwn, takeReleased, takeDead, takeNew}) do
  for i, stream in ipairs(KEYS) do
    local isOwn = step == takeOwn
    if left > 0 and not failures[stream] and (isOwn and o.own or not isOwn and not o.only) then
      local ok, failure = pcall(step, stream, o.suffix[i])
      if not ok then failures[stream] = reasonOf(failure) end
    end
  end
end

local marks, failed = {}, {}
for i, stream in ipairs(KEYS) do
  marks[i] = ''
  if failures[stream] then
    failed[#failed + 1] = {stream, failures[stream]}
  elseif #claims == 0 then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local facts = {}
      for at = 1, #group, 2 do facts[group[at]] = group[at + 1] end
      if facts['name'] == o.g then marks[i] = facts['last-delivered-id'] end
    end
  end
end
local back = ''
if #claims == 0 then
  local ok, last = pcall(redis.call, 'XREVRANGE', HANDED_BACK, '+', '-', 'COUNT', 1)
  if ok then back = last[1] and last[1][1] or '0-0' end
end
return {claims, failed, vanished, taken, over, marks, {HANDED_BACK, back}}
`,
);
