-- The record as time has made it; nothing when the key is free.
if not kept then
  return false
end
return line()
