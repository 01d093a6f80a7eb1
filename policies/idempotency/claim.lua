-- ARGV: owner, fingerprint, selector, lease and ttl in ms, at_once, retry. Nothing: claimed; else the present record.
local call = ARGV[2] .. ' ' .. ARGV[3] .. '\n'
local lease_ms, ttl_ms = tonumber(ARGV[4]), tonumber(ARGV[5])
if kept then
  if not (ARGV[7] == '1' and state == 'unknown' and rest == call) then
    return line()
  end
  state, sendings = 'sending', sendings + 1
  expires = math.max(expires, now_ms + lease_ms)
else
  if ARGV[6] == '1' then state = 'sending' else state = 'claimed' end
  sendings, rest = 1, call
  expires = now_ms + math.max(ttl_ms, lease_ms)
end
owner, lease = ARGV[1], now_ms + lease_ms
keep()
return false
