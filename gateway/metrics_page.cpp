// The families of /metrics, in order.
#include "gateway/metrics_page.h"

#include <sys/resource.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <tuple>

#include "gateway/metrics_keys.h"
#include "gateway/metrics_room.h"
#include "gateway/metrics_tls.h"
#include "gateway/metrics_upstreams.h"
#include "metrics/exposition.h"

namespace sluice::gateway {

namespace {

using metrics::Exposition;
using metrics::Kind;

template <typename Read>
uint64_t sum_auth(const MetricsSources& sources, Read&& read) {
  uint64_t total = 0;
  for (const auth::AuthCounters* counters : sources.auth) total += read(*counters);
  return total;
}

void put_requests(Exposition& out, const MetricsSources& sources) {
  if (sources.workers.empty()) return;
  const proxy::Labels& labels = sources.registry->labels();
  std::map<std::tuple<uint16_t, uint8_t, uint16_t, uint16_t>, uint64_t> totals;
  for (const proxy::Worker* worker : sources.workers) {
    worker->counters().requests.for_each([&](metrics::SeriesKey key, uint64_t requests) {
      totals[{key.route, key.method, key.status, key.reason}] += requests;
    });
  }
  out.family("gateway_requests_total", Kind::counter,
             "Requests by route, method, status and reason.");
  for (const auto& [key, requests] : totals) {
    const auto& [route, method, status, reason] = key;
    const std::string status_text = std::to_string(status);
    out.sample({{"route", labels.routes.name(route)},
                {"method", http::to_string(static_cast<http::Method>(method))},
                {"status", status_text},
                {"reason", proxy::Reason::from_number(reason).code(labels)}},
               requests);
  }
}

void put_durations(Exposition& out, const MetricsSources& sources) {
  std::vector<const metrics::Histogram*> requests;
  for (const proxy::Worker* worker : sources.workers) {
    requests.push_back(&worker->counters().request_duration);
  }
  out.family("gateway_request_duration_seconds", Kind::histogram,
             "From the first byte of a request to the last byte of its answer.");
  out.histogram({}, requests);
  out.family("gateway_upstream_duration_seconds", Kind::histogram,
             "From the last byte of a request sent upstream to its response head.");
  sources.registry->for_each_upstream([&](const Upstream& record) {
    std::vector<const metrics::Histogram*> cores;
    for (const auto& core : record.cores) cores.push_back(&core->duration);
    out.histogram({{"upstream", record.name}}, cores);
  });
}

void put_connections(Exposition& out, const MetricsSources& sources) {
  out.family("gateway_requests_in_flight", Kind::gauge, "Exchanges that have begun and not ended.");
  out.sample({}, sources.sum(&proxy::Counters::exchanges));
  out.family("gateway_requests_held", Kind::gauge, "Exchanges that are held back by shaping.");
  out.sample({}, sources.sum(&proxy::Counters::exchanges_held));
  out.family("gateway_proxy_headers_refused_total", Kind::counter,
             "Connections closed for want of a good PROXY protocol header.");
  out.sample({}, sources.sum(&proxy::Counters::proxy_headers_refused));
  out.family("gateway_endpoint_repairs_total", Kind::counter,
             "Lines of answers that had blanks before a colon or around a chunk size.");
  out.sample({}, sources.sum(&proxy::Counters::endpoint_repairs));
  out.family("gateway_dropped_fields_total", Kind::counter,
             "Fields of requests that were dropped for the underscore in their name.");
  out.sample({}, sources.sum(&proxy::Counters::fields_underscored));
  out.family("gateway_spliced_bytes_total", Kind::counter,
             "Bytes of bodies and tunnels that were not copied.");
  out.sample({}, sources.sum(&proxy::Counters::spliced_bytes));
  out.family("gateway_pipe_misses_total", Kind::counter,
             "Times when they were copied because no pipe was free.");
  out.sample({},
             sources.sum([](const proxy::Worker& worker) { return worker.pipes().misses.get(); }));
  out.family("gateway_tunnels_open", Kind::gauge, "Tunnels after a 101.");
  out.sample({}, sources.sum(&proxy::Counters::tunnels_open));
  out.family("gateway_tunnels_total", Kind::counter, "Tunnels begun.");
  out.sample({}, sources.sum(&proxy::Counters::tunnels));
  out.family("gateway_tunnels_refused_total", Kind::counter, "Tunnels refused by the bound.");
  out.sample({}, sources.sum(&proxy::Counters::tunnels_refused));
  out.family("gateway_connections", Kind::gauge, "Open connections by side and state.");
  const uint64_t open = sources.sum(&proxy::Counters::connections_open);
  const uint64_t idle = sources.sum(&proxy::Counters::connections_idle);
  const uint64_t upstream_open = sources.sum(&proxy::Counters::upstream_open);
  const uint64_t upstream_idle = sources.sum(&proxy::Counters::upstream_idle);
  out.sample({{"side", "downstream"}, {"state", "idle"}}, idle);
  out.sample({{"side", "downstream"}, {"state", "active"}}, open > idle ? open - idle : 0);
  out.sample({{"side", "upstream"}, {"state", "idle"}}, upstream_idle);
  out.sample({{"side", "upstream"}, {"state", "active"}},
             upstream_open > upstream_idle ? upstream_open - upstream_idle : 0);
  out.family("gateway_connections_accepted_total", Kind::counter, "Connections accepted.");
  out.sample({}, sources.sum(&proxy::Counters::connections_accepted));
  out.family("gateway_connections_shed_total", Kind::counter,
             "Idle connections closed to make room for new ones.");
  out.sample({}, sources.sum(&proxy::Counters::connections_shed));
  out.family("gateway_connections_refused_total", Kind::counter,
             "Connections closed at once because there was no room.");
  out.sample({}, sources.sum(&proxy::Counters::connections_refused));
  out.family("gateway_accept_failures_total", Kind::counter,
             "Accepts that failed for want of descriptors or memory.");
  out.sample({}, sources.sum(&proxy::Counters::accept_failures));
}

void put_config(Exposition& out, const MetricsSources& sources) {
  if (sources.config == nullptr) return;
  const ConfigState& state = *sources.config;
  out.family("gateway_config_reloads_total", Kind::counter,
             "Configurations that took another one's place.");
  out.sample({}, state.reloads.get());
  out.family("gateway_config_reload_failures_total", Kind::counter,
             "Reloads that changed nothing, because something was wrong.");
  out.sample({}, state.failures.get());
  out.family("gateway_config_stale", Kind::gauge,
             "1 while the last reload failed: what runs is older than what is written.");
  out.sample({}, state.is_stale.get());
  out.family("gateway_config_loaded_time_seconds", Kind::gauge,
             "When the running configuration was loaded, since 1970.");
  out.sample({}, state.loaded_at_s.get());
  out.family("gateway_config_generations", Kind::gauge,
             "Configurations alive: the running one, and those that requests still use.");
  out.sample({}, state.generations.get());
}

void put_limits(Exposition& out, const MetricsSources& sources) {
  if (sources.workers.empty()) return;
  const proxy::LimitTable& limits = sources.registry->labels().limits;
  out.family("gateway_limiter_decisions_total", Kind::counter,
             "Decisions by limit, what it counts, and outcome.");
  for (uint16_t limit = 0; limit < limits.count(); ++limit) {
    const auto total = [&](core::Counter limiter::LimitCounters::*counter) {
      return sources.sum([&](const proxy::Worker& worker) {
        return (worker.shard().counters(limit).*counter).get();
      });
    };
    const std::string_view name = limits.name(limit);
    const std::string_view counts = limits.counts(limit);
    out.sample({{"limit", name}, {"counts", counts}, {"decision", "pass"}},
               total(&limiter::LimitCounters::passed));
    if (counts == "rate")
      out.sample({{"limit", name}, {"counts", counts}, {"decision", "hold"}},
                 total(&limiter::LimitCounters::held));
    out.sample({{"limit", name}, {"counts", counts}, {"decision", "refuse"}},
               total(&limiter::LimitCounters::refused));
    out.sample({{"limit", name}, {"counts", counts}, {"decision", "would_refuse"}},
               total(&limiter::LimitCounters::would_refuse));
  }
}

void put_steering(Exposition& out, const MetricsSources& sources) {
  out.family("gateway_core_connections_total", Kind::counter, "Connections accepted by core.");
  std::vector<uint64_t> connections;
  for (const proxy::Worker* worker : sources.workers) {
    connections.push_back(worker->counters().connections_accepted.get());
    const std::string core_text = std::to_string(worker->index());
    out.sample({{"core", core_text}}, connections.back());
  }
  out.family("gateway_core_imbalance_ratio", Kind::gauge,
             "Requests of the busiest core in the last second, to the average of all.");
  out.sample_seconds(
      {}, sources.steering != nullptr ? sources.steering->imbalance.get() : 1'000'000'000);
  out.family("gateway_steering_by_address", Kind::gauge,
             "1 while new connections go to the core that owns their address, else 0.");
  out.sample({}, sources.steering != nullptr ? sources.steering->by_address.get() : 0);
}

void put_limiter(Exposition& out, const MetricsSources& sources) {
  const auto total = [&](core::Counter limiter::ShardCounters::*counter) {
    return sources.sum(
        [&](const proxy::Worker& worker) { return (worker.shard().counters().*counter).get(); });
  };
  put_limits(out, sources);
  out.family("gateway_limiter_full_total", Kind::counter,
             "Decisions taken without a bucket because the shard was full.");
  out.sample({{"decision", "refuse"}}, total(&limiter::ShardCounters::full_refused));
  out.sample({{"decision", "admit"}}, total(&limiter::ShardCounters::full_admitted));
  out.family("gateway_limiter_swept_total", Kind::counter,
             "Buckets that had drained and whose room is free again.");
  out.sample({}, total(&limiter::ShardCounters::swept));
  out.family("gateway_limiter_keys", Kind::gauge,
             "Buckets in use; those that have drained and were not swept yet are among them.");
  out.sample({}, total(&limiter::ShardCounters::keys));
  out.family("gateway_limiter_capacity", Kind::gauge, "Buckets that there is room for.");
  out.sample({},
             sources.sum([](const proxy::Worker& worker) { return worker.shard().capacity(); }));
  out.family("gateway_limiter_remote_checks_total", Kind::counter,
             "Visits to another core that owns a key.");
  out.sample({}, sources.sum([](const proxy::Worker& worker) {
    return worker.counters().limit_remote.get();
  }));
}

void put_auth(Exposition& out, const MetricsSources& sources) {
  const auto good = [&](core::Counter auth::TokenCacheCounters::*counter) {
    return sum_auth(sources, [&](const auth::AuthCounters& counters) {
      return (counters.good.*counter).get();
    });
  };
  const auto refused = [&](core::Counter auth::TokenCacheCounters::*counter) {
    return sum_auth(sources, [&](const auth::AuthCounters& counters) {
      return (counters.refused.*counter).get();
    });
  };
  out.family("gateway_token_cache_total", Kind::counter,
             "Look-ups among the tokens that were judged.");
  out.sample({{"outcome", "hit"}}, good(&auth::TokenCacheCounters::hits));
  out.sample({{"outcome", "refused"}}, refused(&auth::TokenCacheCounters::hits));
  out.sample({{"outcome", "miss"}}, refused(&auth::TokenCacheCounters::misses));
  out.family("gateway_token_cache_evictions_total", Kind::counter,
             "Judgements that still held when they gave way to others.");
  out.sample({{"judgement", "good"}}, good(&auth::TokenCacheCounters::evictions));
  out.sample({{"judgement", "refused"}}, refused(&auth::TokenCacheCounters::evictions));
  out.family("gateway_token_verifications_total", Kind::counter,
             "Signatures that were checked, by algorithm.");
  for (const auth::AlgorithmTraits& of : auth::all_algorithms()) {
    out.sample({{"algorithm", of.name}}, sum_auth(sources, [&](const auth::AuthCounters& counters) {
                 return counters.of(of.algorithm).get();
               }));
  }
  out.family("gateway_claims_omitted_total", Kind::counter,
             "Claims of good tokens that were left out because they had no room.");
  out.sample({}, sum_auth(sources, [](const auth::AuthCounters& counters) {
               return counters.claims_omitted.get();
             }));
  if (sources.keys == nullptr) return;
  const KeyCounters& counters = sources.keys->counters();
  out.family("gateway_keys", Kind::gauge, "Keys that tokens and callers are judged by.");
  out.sample({}, counters.keys.get());
  out.family("gateway_keys_passed_over", Kind::gauge,
             "Entries of key sets that can't be used here.");
  out.sample({}, counters.passed_over.get());
  out.family("gateway_keys_changed_time_seconds", Kind::gauge,
             "When keys or revocations last changed, since 1970.");
  out.sample({}, counters.changed_at_s.get());
  out.family("gateway_keys_changes_total", Kind::counter,
             "Changes of keys or revocations that were published to all cores.");
  out.sample({}, counters.refreshed.get());
  out.family("gateway_keys_failures_total", Kind::counter,
             "Files and URLs with keys that could not be used.");
  out.sample({}, counters.failures.get());
  put_key_sources(out, *sources.keys);
}

// Threads that the kernel made because an operation could block. There must be none.
uint64_t count_kernel_workers() {
  uint64_t count = 0;
  std::error_code failure;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task", failure}) {
    std::ifstream file{task.path() / "comm"};
    std::string name;
    if (std::getline(file, name) && name.starts_with("iou-wrk")) ++count;
  }
  return count;
}

void put_engine(Exposition& out, const MetricsSources& sources) {
  out.family("gateway_engine_io_workers", Kind::gauge,
             "Kernel threads made for blocking operations; any is a mistake.");
  out.sample({}, count_kernel_workers());
  out.family("gateway_engine_stale_completions_total", Kind::counter,
             "Completions for something that was gone; any is a mistake.");
  out.sample({}, sources.sum([](const proxy::Worker& worker) {
    return worker.counters().stale_completions.get();
  }));
  out.family("gateway_engine_unexpected_errors_total", Kind::counter,
             "Operations that failed in a way nobody foresaw.");
  out.sample({}, sources.sum([](const proxy::Worker& worker) {
    return worker.counters().unexpected_errors.get();
  }));
  out.family("gateway_engine_buffers_starved", Kind::gauge, "Connections that wait for a buffer.");
  out.sample({}, sources.sum([](const proxy::Worker& worker) {
    return worker.counters().buffers_starved.get();
  }));
  const auto engine = [&](std::string_view name, std::string_view help,
                          core::Counter core::EngineCounters::*counter) {
    out.family(name, Kind::counter, help);
    for (const proxy::Worker* worker : sources.workers) {
      const std::string core_text = std::to_string(worker->index());
      out.sample({{"core", core_text}}, (worker->engine_counters().*counter).get());
    }
  };
  engine("gateway_engine_enters_total", "Calls of io_uring_enter.", &core::EngineCounters::enters);
  engine("gateway_engine_submissions_total", "Operations given to the ring.",
         &core::EngineCounters::submissions);
  engine("gateway_engine_completions_total", "Completions taken from the ring.",
         &core::EngineCounters::completions);
  engine("gateway_engine_inline_calls_total", "System calls beside the ring.",
         &core::EngineCounters::inline_calls);
  engine("gateway_engine_overflows_total", "Completion queue overflows.",
         &core::EngineCounters::overflows);
  engine("gateway_engine_buffer_shortages_total", "Receives that found no buffer.",
         &core::EngineCounters::buffer_shortages);
  out.family("gateway_core_requests_total", Kind::counter, "Requests by core.");
  for (const proxy::Worker* worker : sources.workers) {
    const std::string core_text = std::to_string(worker->index());
    out.sample({{"core", core_text}}, worker->counters().requests_total.get());
  }
}

void put_process(Exposition& out, const MetricsSources& sources) {
  out.family("gateway_log_dropped_total", Kind::counter,
             "Log lines that are in no log: it was slower than the traffic, or failed.");
  out.sample({}, sources.log_writer != nullptr ? sources.log_writer->lines_lost() : 0);
  out.family("gateway_log_write_errors_total", Kind::counter, "Writes to the log that failed.");
  out.sample({}, sources.log_writer != nullptr ? sources.log_writer->write_errors() : 0);
  out.family("gateway_build_info", Kind::gauge, "Always 1; the version is the label.");
  out.sample({{"version", SLUICE_VERSION}}, 1);

  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto nanoseconds = [](const timeval& time) {
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<uint64_t>(time.tv_usec) * 1000;
  };
  out.family("process_cpu_seconds_total", Kind::counter, "CPU time, user and system.");
  out.sample_seconds({}, nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime));
  out.family("process_start_time_seconds", Kind::gauge, "Start of the process since 1970.");
  out.sample_seconds({}, static_cast<uint64_t>(sources.started_at.time_since_epoch().count()));
  std::ifstream statm{"/proc/self/statm"};
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  out.family("process_resident_memory_bytes", Kind::gauge, "Resident memory.");
  out.sample({}, resident_pages * 4096);
  std::error_code failure;
  const auto descriptors =
      std::distance(std::filesystem::directory_iterator{"/proc/self/fd", failure},
                    std::filesystem::directory_iterator{});
  out.family("process_open_fds", Kind::gauge, "Open descriptors.");
  out.sample({}, static_cast<uint64_t>(descriptors));
}

}  // namespace

size_t render_metrics(const MetricsSources& sources, std::span<char> text) {
  Exposition out{text};
  put_requests(out, sources);
  put_durations(out, sources);
  put_connections(out, sources);
  put_room(out, sources);
  put_tls(out, sources);
  put_upstreams(out, sources);
  put_endpoints(out, sources);
  put_config(out, sources);
  put_upstream(out, sources);
  put_limiter(out, sources);
  put_auth(out, sources);
  put_steering(out, sources);
  put_engine(out, sources);
  put_process(out, sources);
  return out.overflowed() ? 0 : out.text().size();
}

}  // namespace sluice::gateway
