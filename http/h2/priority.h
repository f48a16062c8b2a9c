// The `priority` field of RFC 9218: how urgent an answer is, and whether it is of use in parts.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http::h2 {

struct Priority {
  uint8_t urgency = 3;  // 0 to 7; 0 comes first
  // Turns are taken with others of the same urgency. Where nobody says anything they are, though
  // RFC 9218 has it otherwise: a gateway's streams are of strangers to one another.
  bool incremental = true;
};

// What cannot be read counts as not said (RFC 9218 4).
[[nodiscard]] Priority read_priority(std::string_view value);

}  // namespace sluice::http::h2
