-- Requests in the name of others, by X-Forwarded-For: `new`: each of an address that was not seen before; `few`: of eight.
dofile("bench/wrk.lua")
local kind, serial = "few", 0
init = function(args)
  kind = args[1] or kind
  serial = (tonumber(args[2]) or 0) * 2000003
end
request = function()
  serial = serial + 1
  local number = kind == "new" and serial or serial % 8
  wrk.headers["X-Forwarded-For"] = string.format("11.%d.%d.%d", math.floor(number / 65536) % 256, math.floor(number / 256) % 256, number % 256)
  return wrk.format()
end
