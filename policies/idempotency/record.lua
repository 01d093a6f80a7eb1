-- The record of KEYS[1], as core.py writes it: "state owner lease expires sendings fingerprint selector", a line feed, the answer.
-- Its times are whole milliseconds; `now` is in seconds.
local now_ms = math.floor(now * 1000)
local kept = redis.call('GET', KEYS[1])
local state, owner, lease, expires, sendings, rest
if kept then
  state, owner, lease, expires, sendings, rest = string.match(kept, '^(%l+) (%S+) (%d+) (%d+) (%d+) (.*)$')
  lease, expires, sendings = tonumber(lease), tonumber(expires), tonumber(sendings)
  if lease <= now_ms then  -- what the end of a lease makes of it
    if state == 'claimed' then
      kept = false
    elseif state == 'sending' then
      state = 'unknown'
    end
  end
end

local function line()
  return string.format('%s %s %.0f %.0f %d ', state, owner, lease, expires, sendings) .. rest
end

local function keep()
  local ends = expires
  if state == 'claimed' then ends = lease end
  redis.call('SET', KEYS[1], line(), 'PXAT', string.format('%.0f', ends))
end
