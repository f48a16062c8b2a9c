// A second reading of RFC 9110, 9112 and 3986, as plain as it can be and slow: what a message is,
// where it ends, what its target means. The fuzz targets hold the gateway's own against it. It
// shares no code with http/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::strict {

enum class Framing : uint8_t { none, length, chunked, until_close };

struct Head {
  size_t end = 0;  // one past the empty line
  std::string method;
  std::string target;
  std::string authority;  // of a request: the target's, else Host's
  unsigned status = 0;
  bool is_http_1_1 = false;
  std::vector<std::pair<std::string, std::string>> fields;
  Framing framing = Framing::none;
  uint64_t length = 0;
  bool may_be_refused = false;  // right, in a way that nobody writes
};

struct Reading {
  bool is_whole = false;     // there is an empty line
  std::optional<Head> head;  // if it is whole and right
};
[[nodiscard]] Reading read_request(std::string_view bytes);
[[nodiscard]] Reading read_response(std::string_view bytes);  // to a GET

// The form that is matched and forwarded; nothing if it is refused. `authority` is filled in for
// the absolute form.
[[nodiscard]] std::optional<std::string> normal_target(std::string_view method,
                                                       std::string_view target,
                                                       std::string& authority);

struct Body {
  enum class State : uint8_t { incomplete, complete, broken } state = State::incomplete;
  std::string payload;
  std::vector<std::pair<std::string, std::string>> trailers;
  size_t end = 0;               // if complete
  bool may_be_refused = false;  // complete, with something that nobody sends
};
[[nodiscard]] Body read_chunked(std::string_view bytes);

}  // namespace sluice::strict
