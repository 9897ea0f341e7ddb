/**
 * What the scripts share. `o` is the one argument, as JSON: `p` the prefix of our keys, `g` the group, `c` our name in it, `life`
 * this life of the daemon, `lease` in ms, `keep` in seconds.
 *
 * The hash of an entry is the truth about who holds it: `attempt`, `deaths`, `owner` (a name in the group), `life`, `seq` (the
 * last attempt whose start was published), `own` (1 while an earlier life's work is not resumed), `resumed` (by which life, from
 * which attempt, and 1 for anew), `over` once it was put aside. It says more than the group's own list of pending entries,
 * which somebody may have deleted with the group, and which XACK clears for anybody.
 */
export const COMMON = `
local o = cjson.decode(ARGV[1])
local RELEASED = 'hearth-released'

local function entryKey(stream, id) return o.p .. 'entry:' .. o.g .. ':' .. stream .. ':' .. id end
local function doneKey(job) return o.p .. 'done:' .. job end
local function aliveKey(consumer) return o.p .. 'alive:' .. o.g .. ':' .. consumer end

-- a stream of one entry: whoever waits for new entries waits for what is handed back as well
local HANDED_BACK = o.p .. 'handed-back'

local function reasonOf(failure)
  if type(failure) == 'table' then return failure.err or 'unknown' end
  return tostring(failure)
end

-- who has it pending, and since when nobody touched it; nil for nobody
local function pending(stream, id)
  local ok, found = pcall(redis.call, 'XPENDING', stream, o.g, id, id, 1)
  if not ok or not found[1] then return nil end
  return found[1][2], found[1][3]
end

local function exists(stream, id)
  local ok, found = pcall(redis.call, 'XRANGE', stream, id, id)
  return ok and found[1] ~= nil
end

-- The completion of this very entry, if there is one.
local function completion(stream, id, job)
  local done = redis.call('GET', doneKey(job))
  if not done then return nil end
  local record = cjson.decode(done)
  if record.entry == id and record.stream == stream then return record end
  return nil
end

-- Whether this life of this host holds this attempt. An entry that Redis has forgotten wholly is still ours, as nobody else can
-- have got it since: its hash is written again. One that is complete is nobody's.
local function owns(stream, id, attempt, job)
  local key = entryKey(stream, id)
  local h = redis.call('HMGET', key, 'attempt', 'owner', 'life', 'over')
  if h[4] then return false end
  if h[1] then return tonumber(h[1]) == attempt and h[2] == o.c and h[3] == o.life end
  if completion(stream, id, job) then return false end
  local who = pending(stream, id)
  if who and who ~= o.c then return false end
  redis.call('HSET', key, 'attempt', attempt, 'deaths', 0, 'owner', o.c, 'life', o.life, 'job', job)
  redis.call('EXPIRE', key, o.keep)
  return true
end

-- out of the group, and out of the stream where that is wanted; a stream that is gone or something else has nothing to give up
local function acknowledge(stream, id)
  pcall(redis.call, 'XACK', stream, o.g, id)
  if o.trim then pcall(redis.call, 'XDEL', stream, id) end
end

-- Written before anything else is: a server out of memory, or a key of another type, then refuses all of it.
local function publish(events)
  for _, event in ipairs(events) do
    redis.call('XADD', o.events, 'MAXLEN', '~', o.maxEvents, '*', 'type', event[1], 'json', event[2])
  end
end
`;
