-- Takes what all limits of a call ask for, or nothing. KEYS: one a limit; ARGV: kind, cost, bound and ttl of each.
-- Rates keep the time when their bucket is full, as seconds since 2026: near, so that tenths of a microsecond count.
local at = now - 1767225600
local kept, standing, all = {}, {}, 1
for i = 1, #KEYS do
  local cost, bound = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  local found = tonumber(redis.call('GET', KEYS[i]))
  local amount
  if ARGV[4 * i - 3] == 'rate' then
    amount = cost
    if found and found > at then amount = found - at + cost end
    standing[i] = amount
  else
    amount = (found or 0) + cost
    standing[i] = found or 0
  end
  kept[i] = amount
  if cost > 0 and amount > bound then all = 0 end
end
if all == 1 then
  for i = 1, #KEYS do
    if tonumber(ARGV[4 * i - 2]) > 0 then
      standing[i] = kept[i]
      local value, ttl = kept[i], tonumber(ARGV[4 * i])
      if ARGV[4 * i - 3] == 'rate' then value, ttl = at + kept[i], kept[i] end
      redis.call('SET', KEYS[i], string.format('%.17g', value), 'PXAT', math.ceil((now + ttl) * 1000))
    end
  end
end
-- as many digits as are read quickly: to the microsecond of TIME, and 15 in all
local reply = {all, string.format('%.6f', at)}
for i = 1, #KEYS do reply[i + 2] = string.format('%.15g', standing[i]) end
return reply
