// What is said in the simulated world, and how to know that it was said right. A request carries a
// tag; the tag decides its body, what the origin does with it, and what the answer is. So both ends
// know what must arrive, byte for byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::simulation {

// What the origin does with a request.
enum class Play : uint8_t {
  plain,            // 200 with Content-Length
  chunked,          // 200, chunked
  until_close,      // 200, ended by closing
  empty,            // 204
  not_modified,     // 304 with the length of what it does not send
  early_hints,      // 103, then 200
  close_after,      // 200, then closes without having said so
  announced_close,  // 200 with Connection: close
  early,            // answers before the body has come
  slow,             // 200 after a while
  never,            // does not answer
  close_before,     // closes instead of answering
  half_head,        // closes in the middle of the head
  half_body,        // closes in the middle of the body
  garbage,          // something that is no HTTP
  reset_before,     // resets instead of answering
  extra_bytes,      // 200, and more than it promised
};
inline constexpr unsigned plays = 17;
inline constexpr unsigned harmless_plays = 10;  // those that end in a whole answer

struct Tag {
  uint32_t number = 0;
  Play play = Play::plain;
  uint32_t request_bytes = 0;
  uint32_t response_bytes = 0;
  [[nodiscard]] std::string text() const;
  static std::optional<Tag> parse(std::string_view text);
};

// `size` bytes that belong to this tag and no other.
[[nodiscard]] std::string body_of(const Tag& tag, bool response, uint32_t size);

// What may be said of a trailer in a chunked body, sent together with what may not.
[[nodiscard]] bool has_trailers(const Tag& tag);
[[nodiscard]] std::string trailers_of(const Tag& tag);

// An endpoint that switches to a protocol that nobody asked for.
[[nodiscard]] inline bool lies_about_tunnels(const Tag& tag) {
  return static_cast<unsigned>(tag.play) >= harmless_plays && tag.number % 4 == 2;
}

// A parser of whole messages that shares nothing with the one it judges. Takes one message from the
// front of `bytes`.
struct Message {
  std::string start_line;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;
  bool ended_by_close = false;
  [[nodiscard]] const std::string* field(std::string_view name) const;
  [[nodiscard]] unsigned count(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> values(
      std::string_view name) const;  // of all fields of this name
  // Whether exactly those trailers came that may be passed on.
  [[nodiscard]] bool has_right_trailers(const Tag& tag) const;
};
struct Taken {
  enum class State : uint8_t { incomplete, complete, broken } state = State::incomplete;
  Message message;
  std::string why;
};
enum class Reading : uint8_t { request, response, response_to_head };
Taken take_message(std::string& bytes, Reading reading, bool closed);

}  // namespace sluice::simulation
