// What a limit counts by, and what a caller's endpoint is chosen by: the parts together make one
// key.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::config {

struct KeyPart {
  enum class Kind : uint8_t { address, route, claim, header };
  Kind kind = Kind::address;
  std::string name;    // header
  uint16_t claim = 0;  // index into Config::claims
};

}  // namespace sluice::config
