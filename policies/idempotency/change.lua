-- ARGV: owner ('' for an operator), the steps of the event, those where an earlier call may have been executed, lease in ms (0: as
-- it was), the answer. Returns the state that it met, and whether the change is made, now or before.
if not kept then
  return {'free', 0}
end
if ARGV[1] ~= '' and owner ~= ARGV[1] then
  return {state, 0}
end
local steps = ARGV[2]
if sendings > 1 then steps = ARGV[3] end
local call, answer = string.match(rest, '^([^\n]*\n)(.*)$')
local before, after = state, nil
for from, to in string.gmatch(steps, '(%l+)>(%l+)') do
  if from == state then after = to end
end
if not after then
  if ARGV[1] ~= '' and answer == ARGV[5] then
    for _, to in string.gmatch(steps, '(%l+)>(%l+)') do
      if to == state then return {state, 1} end
    end
  end
  return {state, 0}
end
if after == 'free' then
  redis.call('DEL', KEYS[1])
  return {before, 1}
end
state, rest = after, call .. ARGV[5]
if ARGV[1] == '' then owner = '-' end
if ARGV[4] ~= '0' then lease = now_ms + tonumber(ARGV[4]) end
expires = math.max(expires, lease)
keep()
return {before, 1}
