// Drives a real gateway with its own load and holds its limits against the formula: for a key that
// always has a request waiting, exactly burst + 1 + floor((t_last - t_first) * rate) are admitted
// by the decision times of the key's owner.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "limiter/rate.h"
#include "limiter/steering.h"

namespace sluice::cli {

struct VerifyOptions {
  limiter::Policy policy;  // burst of at least 1: without room for a moment's delay no key always
                           // has a request waiting
  uint32_t cores = 1;      // workers; more than there are cores share them
  uint32_t addresses = 8;  // clients on 127.1.0.x, a key each; at most 250
  uint32_t connections = 12;  // of each client
  std::chrono::milliseconds duration{3000};
  limiter::Steering steering = limiter::Steering::automatic;
  bool switch_steering = false;  // on and off, every 100 ms
};

struct VerifiedKey {
  uint64_t asked =
      0;  // decisions by the owner since the bucket was last empty, up to the last refusal
  uint64_t admitted = 0;  // of them
  uint64_t expected = 0;  // by the formula
};

struct VerifyReport {
  std::optional<std::string> failure;  // it could not be done
  std::vector<VerifiedKey> keys;
  uint64_t admitted_by_owners = 0;  // all decisions
  uint64_t answers_200 = 0;         // what the clients saw
  uint64_t answers_429 = 0;
  uint64_t answers_else = 0;
  uint64_t remote_checks = 0;
  // How many requests too many or too few, over all keys; and what clients saw otherwise than
  // owners decided.
  [[nodiscard]] uint64_t error() const;
};

[[nodiscard]] VerifyReport verify_limits(const VerifyOptions& options);

}  // namespace sluice::cli
