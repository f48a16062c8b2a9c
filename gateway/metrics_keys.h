// What /metrics says of each file and URL that keys come from.
#pragma once

#include "gateway/key_keeper.h"
#include "metrics/exposition.h"

namespace sluice::gateway {

void put_key_sources(metrics::Exposition& out, const KeyKeeper& keys);

}  // namespace sluice::gateway
