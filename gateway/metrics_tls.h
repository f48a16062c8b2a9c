// The part of /metrics that is about TLS: handshakes on both sides, and how long certificates hold.
#pragma once

#include "gateway/metrics_page.h"
#include "metrics/exposition.h"

namespace sluice::gateway {

void put_tls(metrics::Exposition& out, const MetricsSources& sources);

}  // namespace sluice::gateway
