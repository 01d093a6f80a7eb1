-- KEYS: the purges. ARGV: one of them, seconds to keep all, most octets. Oldest first, each behind its time and its length; when
-- they become too many the older half makes way for one that stands for all before it. Returns their number of octets.
local purges = (redis.call('GET', KEYS[1]) or '') .. struct.pack('>d', now) .. struct.pack('>I4', #ARGV[1]) .. ARGV[1]
local most = tonumber(ARGV[3])
if #purges > most then
  local at, last = 1, nil
  while #purges - at + 1 > most / 2 do
    last = string.sub(purges, at, at + 7)
    at = at + 12 + struct.unpack('>I4', string.sub(purges, at + 8, at + 11))
  end
  purges = last .. struct.pack('>I4', 0) .. string.sub(purges, at)
end
redis.call('SET', KEYS[1], purges, 'PXAT', math.ceil((now + ARGV[2]) * 1000))
return #purges
