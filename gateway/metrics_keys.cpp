// The families about keys and their sources.
#include "gateway/metrics_keys.h"

namespace sluice::gateway {

using metrics::Exposition;
using metrics::Kind;

void put_key_sources(Exposition& out, const KeyKeeper& keys) {
  const auto family = [&](std::string_view name, Kind kind, std::string_view help,
                          core::Counter KeySourceCounters::*counter) {
    out.family(name, kind, help);
    keys.for_each_source([&](const KeySourceId& id, const KeySourceCounters& counters) {
      out.sample({{"source", id.label()}}, (counters.*counter).get());
    });
  };
  family("gateway_key_source_attempts_total", Kind::counter,
         "How often the file was read or the URL was asked.", &KeySourceCounters::attempts);
  family("gateway_key_source_failures_total", Kind::counter,
         "Of those, how often nothing came that could be used.", &KeySourceCounters::failures);
  family("gateway_key_source_up", Kind::gauge,
         "1 if the last attempt gave something to use. With 0, what was good before stays in use.",
         &KeySourceCounters::is_good);
  family("gateway_key_source_loaded_time_seconds", Kind::gauge,
         "When it last gave something to use, since 1970; 0: never.",
         &KeySourceCounters::loaded_at_s);
}

}  // namespace sluice::gateway
