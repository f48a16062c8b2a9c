// One run of the simulated world: workers of the real gateway, clients and an origin, from one
// seed.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::simulation {

struct Outcome {
  std::string violation;  // empty: all was well
  uint64_t steps = 0;
  uint64_t asked = 0;
  uint64_t answered = 0;
  uint64_t ok = 0;
  uint64_t spliced_bytes = 0;
  uint64_t reloads = 0;
  uint64_t tunnels = 0;
};

enum class Tracing : uint8_t { off, on };
Outcome simulate(uint64_t seed, Tracing tracing);

}  // namespace sluice::simulation
