// Fetches a key set over HTTP with libcurl. Blocks: the keeper of keys calls it on its own thread.
// Bounded in size, time and redirects; a certificate is verified, always.
#pragma once

#include <optional>
#include <string>

#include "core/clock.h"

namespace sluice::gateway {

struct Fetched {
  std::string complaint;  // empty: it was fetched
  std::string body;
  std::optional<core::Duration> max_age;  // of Cache-Control (RFC 9111 5.2.2)
};

inline constexpr size_t key_set_bytes_max = 1 << 20;

// Once a process, before the first fetch and before other threads start.
void prepare_fetching();
// `authorities`: a PEM file, or empty for the system's.
[[nodiscard]] Fetched fetch_keys(const std::string& url, const std::string& authorities);

}  // namespace sluice::gateway
