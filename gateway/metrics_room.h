// The part of /metrics that is about room on a core: what had to give way, and to what.
#pragma once

#include "gateway/metrics_page.h"
#include "metrics/exposition.h"

namespace sluice::gateway {

void put_room(metrics::Exposition& out, const MetricsSources& sources);

}  // namespace sluice::gateway
