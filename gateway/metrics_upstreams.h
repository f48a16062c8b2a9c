// The part of /metrics that is about upstreams and their endpoints.
#pragma once

#include "gateway/metrics_page.h"
#include "metrics/exposition.h"

namespace sluice::gateway {

void put_upstream(metrics::Exposition& out, const MetricsSources& sources);  // all of them together
void put_endpoints(metrics::Exposition& out, const MetricsSources& sources);  // each
void put_upstreams(metrics::Exposition& out, const MetricsSources& sources);  // each

}  // namespace sluice::gateway
