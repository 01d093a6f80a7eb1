-- How many places a process holds now, and others with it. KEYS: the places; ARGV: process, its places (-1: only asks), lease.
local key, me, held, lease = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if held > 0 then
  redis.call('HSET', key, me, string.format('%d %.17g', held, now + lease))
  redis.call('PEXPIREAT', key, math.ceil((now + lease) * 1000))
elseif held == 0 then
  redis.call('HDEL', key, me)
end
local entries, all = redis.call('HGETALL', key), 0
for i = 1, #entries, 2 do
  local count, ends = string.match(entries[i + 1], '^(%d+) (%S+)$')
  if ends and tonumber(ends) > now then all = all + tonumber(count) end
end
return all
