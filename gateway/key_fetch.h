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

// What is asked for: a key set or an OpenID configuration.
struct FetchRequest {
  std::string url;
  std::string authorities;  // a PEM file, or empty for the system's
  std::string bearer;       // a token that is shown to the URL's host alone; empty: none
};

// Once a process, before the first fetch and before other threads start.
void prepare_fetching();
[[nodiscard]] Fetched fetch_keys(const FetchRequest& request);

}  // namespace sluice::gateway
