-- Places that a process gives back. KEYS: the places; ARGV: process, how many.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
local count, ends = string.match(entry or '', '^(%d+) (%S+)$')
if not count then return 0 end
local left = tonumber(count) - tonumber(ARGV[2])
if left > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], left .. ' ' .. ends)
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
