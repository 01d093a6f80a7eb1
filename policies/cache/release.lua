-- KEYS: a lease. ARGV: its owner, what to leave in its place ('' for nothing), for how many seconds. Returns whether it was the owner's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', math.ceil((now + ARGV[3]) * 1000))
end
return 1
