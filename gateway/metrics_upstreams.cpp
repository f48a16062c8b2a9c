// The families about upstreams and endpoints.
#include "gateway/metrics_upstreams.h"

#include <string>

namespace sluice::gateway {

namespace {

using metrics::Exposition;
using metrics::Kind;

}  // namespace

void put_upstream(Exposition& out, const MetricsSources& sources) {
  out.family("gateway_upstream_connects_total", Kind::counter,
             "Connections opened to the endpoint.");
  out.sample({}, sources.sum(&proxy::Counters::upstream_connects));
  out.family("gateway_upstream_connect_failures_total", Kind::counter,
             "Connections to the endpoint that failed.");
  out.sample({}, sources.sum(&proxy::Counters::upstream_connect_failures));
  out.family("gateway_upstream_reuses_total", Kind::counter,
             "Requests sent on a pooled connection.");
  out.sample({}, sources.sum(&proxy::Counters::upstream_reuses));
  out.family("gateway_upstream_stale_total", Kind::counter,
             "Pooled connections that the endpoint had closed.");
  out.sample({}, sources.sum(&proxy::Counters::upstream_stale));
  out.family("gateway_upstream_stale_lost_total", Kind::counter,
             "Requests lost on such a connection, because sending them again could do harm.");
  out.sample({}, sources.sum(&proxy::Counters::upstream_stale_lost));
  out.family("gateway_retries_total", Kind::counter, "Requests that were sent a second time.");
  out.sample({}, sources.sum(&proxy::Counters::retries));
  out.family("gateway_retries_refused_total", Kind::counter,
             "Second tries that the retry budget did not allow.");
  out.sample({}, sources.sum(&proxy::Counters::retries_refused));
  out.family("gateway_offload_jobs_total", Kind::counter, "Jobs handed to the offload pool.");
  out.sample({}, sources.sum(&proxy::Counters::offload_jobs));
  out.family("gateway_offload_refused_total", Kind::counter,
             "Jobs refused because the queue was full.");
  out.sample({}, sources.sum(&proxy::Counters::offload_refused));
}

// One number of each endpoint, over all cores.
template <typename Read>
void put_of_endpoints(Exposition& out, const MetricsSources& sources, Read&& read) {
  const proxy::Labels& labels = sources.registry->labels();
  sources.registry->for_each_endpoint([&](const Endpoint& record) {
    uint64_t total = 0;
    for (const auto& core : record.cores) total += read(record, *core);
    out.sample(
        {{"upstream", record.upstream->name}, {"endpoint", labels.endpoints.name(record.label)}},
        total);
  });
}

void put_endpoints(Exposition& out, const MetricsSources& sources) {
  using Core = const proxy::CoreEndpoint&;
  using Record = const Endpoint&;
  out.family("gateway_endpoint_up", Kind::gauge,
             "0 while health checks say that the endpoint is down, else 1.");
  const proxy::Labels& labels = sources.registry->labels();
  sources.registry->for_each_endpoint([&](Record record) {
    out.sample(
        {{"upstream", record.upstream->name}, {"endpoint", labels.endpoints.name(record.label)}},
        record.health.is_down() ? 0 : 1);
  });
  out.family("gateway_endpoint_connections", Kind::gauge, "Open connections to the endpoint.");
  put_of_endpoints(out, sources, [](Record, Core core) { return uint64_t{core.open()}; });
  out.family("gateway_endpoint_requests_total", Kind::counter,
             "Tries that told something about the endpoint.");
  put_of_endpoints(out, sources, [](Record, Core core) { return core.requests.get(); });
  out.family("gateway_endpoint_failures_total", Kind::counter,
             "Of those, the ones that failed: no connection, no answer, or 5xx.");
  put_of_endpoints(out, sources, [](Record, Core core) { return core.failures.get(); });
  out.family("gateway_endpoint_ejections_total", Kind::counter,
             "Times when the endpoint was left alone for a while.");
  put_of_endpoints(out, sources, [](Record, Core core) { return core.ejections.get(); });
}

void put_upstreams(Exposition& out, const MetricsSources& sources) {
  const auto each = [&](auto&& read) {
    sources.registry->for_each_upstream([&](const Upstream& record) {
      out.sample({{"upstream", record.name}}, read(record));
    });
  };
  const auto over_cores = [](const Upstream& record, auto&& read) {
    uint64_t total = 0;
    for (const auto& core : record.cores) total += read(*core);
    return total;
  };
  out.family("gateway_upstream_connections", Kind::gauge,
             "Open connections to all endpoints of the upstream.");
  each([](const Upstream& record) { return uint64_t{record.permits.taken()}; });
  out.family("gateway_upstream_connections_max", Kind::gauge,
             "How many it may have over all cores; 0: what the cores have room for.");
  each([](const Upstream& record) { return uint64_t{record.permits.most()}; });
  out.family("gateway_upstream_waiting", Kind::gauge, "Requests that wait for a connection.");
  each([&](const Upstream& record) {
    return over_cores(record,
                      [](const proxy::CoreUpstream& core) { return core.waiting_now.get(); });
  });
  out.family("gateway_upstream_requests", Kind::gauge,
             "Requests that the upstream has now, those that wait for a connection too.");
  each([&](const Upstream& record) {
    return over_cores(record, [](const proxy::CoreUpstream& core) { return core.places.get(); });
  });
  out.family("gateway_upstream_share_refused_total", Kind::counter,
             "Requests refused because the upstream had its share of a core, or the client's "
             "address its part of that.");
  each([&](const Upstream& record) {
    return over_cores(record,
                      [](const proxy::CoreUpstream& core) { return core.refused_share.get(); });
  });
  out.family("gateway_upstream_refused_total", Kind::counter,
             "Requests refused: no room, nobody healthy, or the circuit is open.");
  each([&](const Upstream& record) {
    return over_cores(record, [](const proxy::CoreUpstream& core) { return core.refused.get(); });
  });
  out.family("gateway_upstream_circuit_open", Kind::gauge,
             "Cores whose circuit is open or half open.");
  each([&](const Upstream& record) {
    return over_cores(record, [](const proxy::CoreUpstream& core) {
      return uint64_t{core.circuit().state_number() != 0};
    });
  });
  out.family("gateway_upstream_circuit_opened_total", Kind::counter,
             "Times when a core's circuit opened.");
  each([&](const Upstream& record) {
    return over_cores(record,
                      [](const proxy::CoreUpstream& core) { return core.circuit().opened.get(); });
  });
}

}  // namespace sluice::gateway
