-- KEYS: the URL's epoch, then pages. ARGV: of each page the version that is known, '' for none.
-- Returns the epoch, and of each page '' (nothing), '=' (the version that is known) or the page.
local epoch = redis.call('GET', KEYS[1]) or '00000000'
local found = {epoch}
for at = 2, #KEYS do
  local page = redis.call('GET', KEYS[at])
  if not page or string.sub(page, 9, 16) ~= epoch then
    found[at] = ''
  elseif string.sub(page, 1, 8) == ARGV[at - 1] then
    found[at] = '='
  else
    found[at] = page
  end
end
return found
