// The families about room on a core.
#include "gateway/metrics_room.h"

namespace sluice::gateway {

using metrics::Kind;

namespace {

void put_http2(metrics::Exposition& out, const MetricsSources& sources) {
  out.family("gateway_http2_connections", Kind::gauge, "Connections of clients that speak HTTP/2.");
  out.sample({}, sources.sum(&proxy::Counters::http2_open));
  out.family("gateway_http2_connections_total", Kind::counter,
             "Connections of clients that spoke HTTP/2.");
  out.sample({}, sources.sum(&proxy::Counters::http2_connections));
  out.family("gateway_http2_streams_refused_total", Kind::counter,
             "Streams refused unprocessed because no place or buffer was free.");
  out.sample({}, sources.sum(&proxy::Counters::http2_streams_refused));
  out.family("gateway_http2_broken_total", Kind::counter,
             "HTTP/2 connections closed because the client broke the protocol.");
  out.sample({}, sources.sum(&proxy::Counters::http2_broken));
  out.family("gateway_http2_memory_refused_total", Kind::counter,
             "HTTP/2 connections closed because http2: { memory } was used up.");
  out.sample({}, sources.sum(&proxy::Counters::http2_memory_refused));
  out.family("gateway_http2_abuse_total", Kind::counter,
             "HTTP/2 connections closed with ENHANCE_YOUR_CALM, by what the client did too often.");
  for (size_t kind = 1; kind < http::h2::abuse_count; ++kind) {
    out.sample({{"kind", http::h2::reason_code(static_cast<http::h2::Abuse>(kind))}},
               sources.sum([&](const proxy::Worker& worker) {
                 return worker.counters().http2_abuse[kind].get();
               }));
  }
}

}  // namespace

void put_room(metrics::Exposition& out, const MetricsSources& sources) {
  out.family("gateway_connections_over_address_total", Kind::counter,
             "Connections closed at once because their address had as many as it may.");
  out.sample({}, sources.sum(&proxy::Counters::connections_over_address));
  out.family("gateway_half_heads", Kind::gauge, "Request heads that are not whole yet.");
  out.sample({}, sources.sum(&proxy::Counters::heads_gathering));
  out.family("gateway_half_heads_shed_total", Kind::counter,
             "Half heads given up, the oldest first, because others needed the room.");
  out.sample({}, sources.sum(&proxy::Counters::heads_shed));
  out.family("gateway_requests_shed_total", Kind::counter,
             "Requests given up that only waited for their clients, because others needed the "
             "room.");
  out.sample({}, sources.sum(&proxy::Counters::exchanges_shed));
  out.family("gateway_overload_refused_total", Kind::counter,
             "Requests refused because every place of their core was taken.");
  out.sample({}, sources.sum(&proxy::Counters::overload_refused));
  out.family("gateway_hold_places_refused_total", Kind::counter,
             "Requests that could not be held because their key had most of the places.");
  out.sample({}, sources.sum(&proxy::Counters::hold_places_refused));
  out.family(
      "gateway_local_lacks_total", Kind::counter,
      "Connections to endpoints that failed for want of a port, a descriptor or memory here.");
  out.sample({}, sources.sum(&proxy::Counters::local_lacks));
  put_http2(out, sources);
}

}  // namespace sluice::gateway
