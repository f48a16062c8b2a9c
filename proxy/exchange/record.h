// What is said of a request when it is over, in the log and in the counters: gathered on the way.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/bounded_string.h"
#include "limiter/limit.h"
#include "proxy/labels.h"
#include "proxy/reason.h"
#include "proxy/station.h"

namespace sluice::proxy {

struct Record {
  // What it is about. A request whose head was not understood has no method and no path.
  struct Subject {
    http::Method method = http::Method::other;
    std::string_view method_text = "-";
    std::string_view path = "-";
    std::string_view client;  // its address
    std::string_view principal;
    std::string_view protocol;
    uint64_t bytes_out = 0;
  };

  uint16_t route = NameTable::none;           // in Labels::routes
  uint16_t endpoint = NameTable::none;        // in Labels::endpoints
  uint16_t would_refuse = limiter::no_limit;  // a limit in dry run, in Labels::limits
  uint16_t status = 0;                        // of the answer
  Reason reason;
  uint8_t retries = 0;
  uint64_t body_bytes = 0;  // of the request
  core::Instant started_at{}, head_at{}, received_at{}, admitted_at{}, connected_at{}, sent_at{},
      response_at{};
  std::string_view tls_version, tls_cipher;  // of the client's session; empty: without
  core::BoundedString<128> server_name;      // that it asked for, or the beginning of it
  std::array<char, 32> made_id;
  std::string_view taken_id;  // of a trusted peer, in its place

  [[nodiscard]] std::string_view request_id() const {
    return taken_id.empty() ? std::string_view{made_id.data(), made_id.size()} : taken_id;
  }
  void write(Station& station, const Subject& subject) const;
};

}  // namespace sluice::proxy
