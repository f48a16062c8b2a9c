// One JSON object a request, one line an object. Formatting never fails and never allocates; what
// would be too long is cut before it is escaped, so the line is always valid JSON and at most
// line_bytes_max long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/clock.h"

namespace sluice::metrics {

// Views need only live during the call. All of them may hold any byte: what JSON does not take as
// it is gets escaped. Of tokens, codes, names and addresses at most 300 bytes are written.
struct AccessRecord {
  core::WallTime finished_at{};
  std::string_view request_id;
  std::string_view method;
  std::string_view path;  // without the query: it may hold secrets
  uint16_t status = 0;
  std::string_view reason;  // "-" for an ordinary answer
  std::string_view
      would_refuse;  // a limit in dry run that would have refused; empty if there is none
  std::string_view route;
  std::string_view endpoint;  // empty if none was chosen
  std::string_view client;
  std::string_view tls_version;  // of the client's session; empty: it came without TLS
  std::string_view tls_cipher;
  std::string_view server_name;  // that the client asked for; empty: none
  std::string_view principal;    // empty if there is none
  uint64_t bytes_in = 0;         // of the request's body
  uint64_t bytes_out = 0;        // of everything sent to the client
  std::string_view protocol;     // that the client speaks
  uint32_t core = 0;
  uint32_t retries = 0;
  core::Duration latency{};   // from the first byte of the head to the last byte of the answer
  core::Duration read{};      // first byte to complete head
  core::Duration limit{};     // waiting for the limiter, held included
  core::Duration connect{};   // getting a connection
  core::Duration upstream{};  // request sent to response head
  core::Duration relay{};     // response head to the end
};

inline constexpr size_t path_bytes_logged_max = 1024;
inline constexpr size_t line_bytes_max = 11 * 1024;

// Formats into `out` (at least line_bytes_max); returns the length, newline included. Keeps the
// last second's text.
class LineFormatter {
 public:
  size_t format(const AccessRecord& record, std::span<char> out);

 private:
  int64_t second_ = -1;
  char second_text_[20] = {};  // "2026-01-31T12:00:00."
};

}  // namespace sluice::metrics
