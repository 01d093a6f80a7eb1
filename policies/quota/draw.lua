-- Draws a block of calls out of a window, or nothing when there is not one left. KEYS: the window; ARGV: cost, bound, ttl, most.
local cost, bound, ttl, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local used = tonumber(redis.call('GET', KEYS[1])) or 0
local drawn = math.min(most, bound - used)
if drawn < cost then return {0, string.format('%.17g', used)} end
redis.call('SET', KEYS[1], string.format('%.17g', used + drawn), 'PXAT', math.ceil((now + ttl) * 1000))
return {string.format('%.17g', drawn), string.format('%.17g', used + drawn)}
