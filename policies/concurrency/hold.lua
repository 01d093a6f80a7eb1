-- One more place for a process, if there is one. KEYS: the places; ARGV: process, places it held before, most, lease.
-- Places of processes that did not renew their lease are free. What a process held before counts where the store lost it.
local key, me, held, most, lease = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local entries, others, mine = redis.call('HGETALL', key), 0, held
for i = 1, #entries, 2 do
  local count, ends = string.match(entries[i + 1], '^(%d+) (%S+)$')
  if not ends or tonumber(ends) <= now then
    redis.call('HDEL', key, entries[i])
  elseif entries[i] == me then
    mine = tonumber(count)
  else
    others = others + tonumber(count)
  end
end
local given = 0
if others + mine < most then given, mine = 1, mine + 1 end
if mine > 0 then
  redis.call('HSET', key, me, string.format('%d %.17g', mine, now + lease))
  redis.call('PEXPIREAT', key, math.ceil((now + lease) * 1000))
end
return given
