// Writes what the log and the counters say of a request.
#include "proxy/exchange/record.h"

namespace sluice::proxy {

void Record::write(Station& station, const Subject& subject) const {
  const core::Instant end = station.now();
  const core::Duration latency = end - started_at;
  const Labels& labels = station.labels;
  station.counters.requests.count({.route = route,
                                   .method = static_cast<uint8_t>(subject.method),
                                   .reason = reason.number(),
                                   .status = status});
  station.counters.requests_total.add();
  station.counters.request_duration.record(latency);

  const auto between = [](core::Instant from, core::Instant to) {
    return from == core::Instant{} || to < from ? core::Duration{0} : to - from;
  };
  station.log({.request_id = request_id(),
               .method = subject.method_text,
               .path = subject.path,
               .status = status,
               .reason = reason.code(labels),
               .would_refuse = would_refuse != limiter::no_limit ? labels.limits.name(would_refuse)
                                                                 : std::string_view{},
               .route = labels.routes.name(route),
               .endpoint = endpoint != NameTable::none ? labels.endpoints.name(endpoint)
                                                       : std::string_view{},
               .client = subject.client,
               .tls_version = tls_version,
               .tls_cipher = tls_cipher,
               .server_name = server_name.view(),
               .principal = subject.principal,
               .bytes_in = body_bytes,
               .bytes_out = subject.bytes_out,
               .protocol = subject.protocol,
               .core = station.index,
               .retries = retries,
               .latency = latency,
               .read = head_at - started_at,
               .limit = between(head_at, admitted_at),
               .connect = between(admitted_at, connected_at),
               .upstream = between(sent_at, response_at),
               .relay = between(response_at, end)});
}

}  // namespace sluice::proxy
