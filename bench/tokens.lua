-- One token after the other, from a file of a line each.
dofile("bench/wrk.lua")
local tokens, at = {}, 0
init = function(args)
  for line in io.lines(args[1]) do tokens[#tokens + 1] = "Bearer " .. line end
end
request = function()
  at = at % #tokens + 1
  wrk.headers["Authorization"] = tokens[at]
  return wrk.format()
end
