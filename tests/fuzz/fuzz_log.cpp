// Any bytes as what a client chose of an access record: the line is one line, valid JSON, and
// bounded.
#include <simdjson.h>

#include <array>
#include <cstdint>
#include <string>

#include "metrics/access_log.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 40'000) return 0;
  const std::string_view all{reinterpret_cast<const char*>(data), size};
  sluice::metrics::LineFormatter formatter;
  std::array<char, sluice::metrics::line_bytes_max> line;
  const size_t half = size / 2;
  const size_t written = formatter.format({.request_id = "0123456789abcdef0123456789abcdef",
                                           .method = "GET",
                                           .path = all.substr(0, half),
                                           .status = 200,
                                           .reason = "-",
                                           .route = "default",
                                           .client = "::1",
                                           .principal = all.substr(half)},
                                          line);
  sluice::require(written > 0 && written <= line.size() && line[written - 1] == '\n', "no line");
  const std::string_view text{line.data(), written - 1};
  sluice::require(text.find('\n') == std::string_view::npos, "two lines");
  simdjson::dom::parser parser;
  sluice::require(parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS, "no JSON");
  return 0;
}
