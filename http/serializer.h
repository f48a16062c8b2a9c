// Messages -> bytes. What leaves Sluice is built here from what was parsed, never copied through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "core/assert.h"
#include "http/forwarded.h"
#include "http/message.h"

namespace sluice::http {

// Appends to memory that the caller has sized for the largest message (limits.h proves it); running
// over is an error of ours, not of the message.
class Writer {
 public:
  explicit Writer(std::span<std::byte> memory)
      : begin_(reinterpret_cast<char*>(memory.data())),
        cursor_(begin_),
        end_(begin_ + memory.size()) {}

  Writer& put(std::string_view text) {
    SLUICE_ASSERT(text.size() <= room());
    if (text.empty()) return *this;  // memcpy takes no null pointer, whatever the size
    std::memcpy(cursor_, text.data(), text.size());
    cursor_ += text.size();
    return *this;
  }
  Writer& number(uint64_t value);
  Writer& field(std::string_view name, std::string_view value) {
    return put(name).put(": ").put(value).put("\r\n");
  }

  [[nodiscard]] size_t size() const { return static_cast<size_t>(cursor_ - begin_); }
  [[nodiscard]] size_t room() const { return static_cast<size_t>(end_ - cursor_); }
  [[nodiscard]] std::span<const std::byte> written() const {
    return {reinterpret_cast<const std::byte*>(begin_), size()};
  }

 private:
  char* begin_;
  char* cursor_;
  char* end_;
};

struct AddedField {
  std::string_view name;
  std::string_view value;
};

// What Sluice adds to a request on its way upstream.
struct RequestAdditions {
  Forwarding forwarding;          // its host is that of the request where it has none
  std::string_view default_host;  // Host, when the request brought none (HTTP/1.0)
  std::string_view host;          // Host in place of the request's; empty: that
  std::string_view target;        // in place of the request's; empty: that
  std::string_view request_id;
  std::string_view traceparent;       // empty: the client's own is passed on
  std::string_view upgrade;           // the protocol asked for, or empty
  std::string_view via;               // the version that came, or empty: no Via
  std::optional<uint32_t> hops_left;  // Max-Forwards
  std::span<const AddedField> more;
};
void write_request_head(Writer& writer, const RequestHead& head, const RequestAdditions& additions);

// How the body of a response leaves: its framing towards this client.
struct ResponseAdditions {
  Framing framing = Framing::none;
  Persistence persistence = Persistence::keep_alive;
  Version client_version = Version::http_1_1;
  std::string_view request_id;
  std::string_view date;  // IMF-fixdate, where the answer has none; empty: it has
  std::span<const AddedField> more;
};
void write_response_head(Writer& writer, const ResponseHead& head,
                         const ResponseAdditions& additions);
// 1xx: the status line and what is not dropped.
void write_informational_head(Writer& writer, const ResponseHead& head);
// 101: what is said from here on is no HTTP.
void write_switching_head(Writer& writer, const ResponseHead& head, std::string_view protocol,
                          std::string_view request_id, std::span<const AddedField> more);

// Writes the chunk-size line of a chunk of `size` bytes so that it ends at `end`; returns where it
// begins. At most chunk_line_max bytes.
inline constexpr size_t chunk_line_max = 10;
char* write_chunk_line_before(char* end, uint32_t size);

// What follows a chunk.
enum class ChunkEnd : uint8_t {
  more,      // other chunks
  last,      // nothing: the last chunk and the end of the message are written too
  trailers,  // trailer lines and an empty line: the last chunk is written too
};

// Makes [payload, payload + size) a chunk where it lies: up to chunk_line_max bytes before and 7
// bytes behind the payload are overwritten. size > 0.
[[nodiscard]] std::span<const std::byte> frame_chunk(char* payload, uint32_t size, ChunkEnd end);
[[nodiscard]] std::string_view end_of_chunk(ChunkEnd end);

inline constexpr std::string_view last_chunk = "0\r\n\r\n";
inline constexpr std::string_view last_chunk_before_trailers = "0\r\n";
inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace sluice::http
