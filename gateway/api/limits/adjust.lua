-- Gives back, or adds what was taken elsewhere; refuses nothing. KEYS: one a limit; ARGV: kind, base, amount and ttl of each.
-- `base` is when a rate's bucket was known to be full, in the time that take.lua told. A last ARGV says for how many seconds the last
-- of KEYS keeps this from being done once more.
local at, count = now - 1767225600, math.floor(#ARGV / 4)
if #KEYS > count and not redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', ARGV[#ARGV] * 1000) then return 0 end
for i = 1, count do
  local base, amount, ttl = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  local found = tonumber(redis.call('GET', KEYS[i]))
  local value
  if ARGV[4 * i - 3] == 'rate' then
    value = math.max(found or at, base, at) + amount
    ttl = value - at
  else
    value = math.max(0, (found or 0) + amount)
    if value == 0 then ttl = 0 end
  end
  if ttl > 0 then
    redis.call('SET', KEYS[i], string.format('%.17g', value), 'PXAT', math.ceil((now + ttl) * 1000))
  else
    redis.call('DEL', KEYS[i])
  end
end
return 1
