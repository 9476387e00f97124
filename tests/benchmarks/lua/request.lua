-- One request, sent again and again: its body and headers come from the environment. Results go out as JSON.

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

wrk.method = "POST"
wrk.body = read(os.getenv("BENCH_BODY"))
wrk.headers["Content-Type"] = os.getenv("BENCH_CONTENT_TYPE")
wrk.headers["Accept"] = os.getenv("BENCH_ACCEPT")

-- wrk has already corrected the latencies for coordinated omission when it calls this; times are in microseconds.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "received_bytes": %d, "num_errors": %d, '
      .. '"mean_seconds": %.6f, "p50_seconds": %.6f, "p99_seconds": %.6f, "p999_seconds": %.6f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency.mean / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    latency:percentile(99.9) / 1e6
  ))
end
