-- KEYS[1]: a line with a version, then one line a revocation: its end in Unix seconds, a blank, the order.
-- ARGV: the version that is known, the next version, lines to add. Nothing: the known version still stands; else all of it.
local kept = redis.call('GET', KEYS[1]) or '\n'
local version, lines = string.match(kept, '^(%x*)\n(.*)$')
if #ARGV > 2 then
  local all, there, latest, news = {}, {}, 0, false
  local function keep(line)
    local ends = tonumber(string.match(line, '^%S+'))
    if ends > now and not there[line] then
      there[line] = true
      all[#all + 1] = line
      latest = math.max(latest, ends)
      return true
    end
  end
  for line in string.gmatch(lines, '[^\n]+') do keep(line) end
  for i = 3, #ARGV do news = keep(ARGV[i]) or news end
  if news then
    version, lines = ARGV[2], table.concat(all, '\n')
    redis.call('SET', KEYS[1], version .. '\n' .. lines, 'PXAT', math.ceil(latest * 1000))
  end
end
if version == ARGV[1] then
  return false
end
return version .. '\n' .. lines
