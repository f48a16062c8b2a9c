// New connections to the core that owns their client's address: Ownership::owner_of(network),
// instruction for instruction, as a classic BPF program for a reuseport group
// (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5). The program returns the index of a listener in the order
// in which they began to listen; for what is neither IPv4 nor IPv6 it returns one that does not
// exist, and the kernel then spreads by its own hash. Needs no privilege.
//
// And the judgement whether steering does good: behind a load balancer there are few addresses, and
// one core would carry everything.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

#include "limiter/owner.h"

namespace sluice::limiter {

enum class Steering : uint8_t {
  automatic,  // by address, until one core carries far more than its share
  address,    // by address, whatever comes of it
  spread,     // as the kernel spreads them
};

[[nodiscard]] std::vector<sock_filter> steering_program(uint32_t cores, uint64_t seed,
                                                        NetworkBits bits);

// How uneven the load is: what the busiest core did, as a multiple of the average; 1 when nothing
// was done.
[[nodiscard]] double imbalance(std::span<const uint64_t> done);

// Looks once a second at what each core has done in it. Lopsided for several seconds running means
// that the addresses do not spread; a few requests say nothing.
class SteeringJudge {
 public:
  static constexpr uint64_t requests_min = 200;  // a second, all cores together
  static constexpr unsigned seconds = 3;
  // Half-way between even and all on one core.
  [[nodiscard]] static double threshold(size_t cores);

  // Whether to stop steering. `done` counts from the last look.
  [[nodiscard]] bool observe(std::span<const uint64_t> done);

 private:
  unsigned lopsided_ = 0;
};

}  // namespace sluice::limiter
