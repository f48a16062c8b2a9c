// What one worker counts: written by its thread alone, read by whoever renders /metrics.
#pragma once

#include <array>

#include "core/counter.h"
#include "http/h2/abuse.h"
#include "metrics/histogram.h"
#include "metrics/request_series.h"
#include "tls/failure.h"

namespace sluice::proxy {

// Of TLS, on one side.
struct TlsCounters {
  core::Counter handshakes_12, handshakes_13;         // that came to an end
  core::Counter resumed;                              // of those
  std::array<core::Counter, tls::failures> failures;  // of the others, by reason
  core::Counter alerts_sent, alerts_received;         // but close_notify
  core::Counter truncated;                            // connections that ended without it
  core::Counter broken;  // sessions that failed once they were established
};

struct Counters {
  metrics::RequestSeries requests;
  core::Counter requests_total;
  metrics::Histogram request_duration;

  core::Counter connections_accepted;
  core::Counter connections_open;
  core::Counter connections_idle;
  core::Counter connections_shed;     // idle ones, closed to make room
  core::Counter connections_refused;  // closed at once: no room at all
  core::Counter accept_failures;
  core::Counter connections_over_address;  // closed at once: its address has as many as it may

  core::Counter heads_gathering;  // heads that are not whole, now
  core::Counter heads_shed;       // of those, given up for others

  core::Counter proxy_headers_refused;  // malformed, late, or of somebody who is not trusted

  std::array<TlsCounters, 2> tls;  // by Side
  core::Counter tls_handshaking;   // now

  core::Counter exchanges;            // in flight
  core::Counter exchanges_shed;       // that only waited for their clients, given up for others
  core::Counter overload_refused;     // all places were taken
  core::Counter hold_places_refused;  // to keys that had most of them
  core::Counter local_lacks;          // no port, descriptor or memory for a connection upstream
  core::Counter exchanges_held;       // shaped, now
  core::Counter buffers_starved;      // receives parked for want of a buffer, now

  core::Counter http2_connections;      // begun
  core::Counter http2_open;             // now
  core::Counter http2_streams_refused;  // no exchange, or no buffer, was to be had
  core::Counter http2_broken;           // connections that ended for what their peers sent
  core::Counter http2_memory_refused;   // for want of memory in the pool
  std::array<core::Counter, http::h2::abuse_count> http2_abuse;  // by Abuse

  core::Counter tunnels;          // begun
  core::Counter tunnels_open;     // now
  core::Counter tunnels_refused;  // by the bound

  core::Counter spliced_bytes;  // that went past us

  core::Counter limit_remote;  // checks that asked another core

  core::Counter upstream_connects;
  core::Counter upstream_connect_failures;
  core::Counter upstream_open;
  core::Counter upstream_idle;
  core::Counter upstream_reuses;
  core::Counter upstream_stale;       // pooled connections that turned out to be closed
  core::Counter upstream_stale_lost;  // of those, requests that could not be sent again
  core::Counter endpoint_repairs;     // lines of answers with blanks where none belong
  core::Counter fields_underscored;   // dropped for the '_' in their name
  core::Counter retries;
  core::Counter retries_refused;  // by the budget

  core::Counter offload_jobs;
  core::Counter offload_refused;

  core::Counter drain_finished;
  core::Counter drain_cut;
  core::Counter stale_completions;  // must stay 0
  core::Counter unexpected_errors;
};

}  // namespace sluice::proxy
