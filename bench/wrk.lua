-- Prints what wrk measured in one line: requests, seconds, errors, p50, p95, p99, p99.9 in ms.
done = function(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  io.write(string.format("RESULT %d %.3f %d %.3f %.3f %.3f %.3f\n", summary.requests, summary.duration / 1e6, errors,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
