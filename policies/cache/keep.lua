-- KEYS: the URL's epoch, a page. ARGV: the epoch when the upstream was asked, the page's new version, the variant's id, the
-- variant, seconds to keep it, most variants. Returns 1, or 0 when the URL was invalidated meanwhile.
local epoch = redis.call('GET', KEYS[1]) or '00000000'
if epoch ~= ARGV[1] then return 0 end
local page = redis.call('GET', KEYS[2])
local pieces = {ARGV[2], epoch, ARGV[3], struct.pack('>I4', #ARGV[4]), struct.pack('>d', now), ARGV[4]}
if page and string.sub(page, 9, 16) == epoch then
  local at, kept = 17, 1
  while at <= #page and kept < tonumber(ARGV[6]) do
    local size = struct.unpack('>I4', string.sub(page, at + 16, at + 19))
    if string.sub(page, at, at + 15) ~= ARGV[3] then
      pieces[#pieces + 1] = string.sub(page, at, at + 27 + size)
      kept = kept + 1
    end
    at = at + 28 + size
  end
end
redis.call('SET', KEYS[2], table.concat(pieces), 'PXAT', math.ceil((now + ARGV[5]) * 1000))
return 1
