// What a worker draws from, each part from the system by itself: what one of them lets out tells
// nothing of another.
#pragma once

#include "core/secret_random.h"
#include "limiter/owner.h"

namespace sluice::proxy {

struct Secrets {
  limiter::OwnershipSecrets ownership;  // the same for all workers
  core::SecretRandom::Key ids{};        // request ids and trace contexts; of this worker alone
  uint64_t choices = 0;  // which endpoint, which share of a split; of this worker alone
};

}  // namespace sluice::proxy
