-- Uploads of 1 MiB.
dofile("bench/wrk.lua")
wrk.method = "POST"
wrk.body = string.rep("x", 1024 * 1024)
