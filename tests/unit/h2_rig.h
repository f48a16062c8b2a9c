// The other end of an HTTP/2 session, on the level of frames: it sends whatever it likes, and reads
// what comes. Fields are literals without indexing, so that any byte can be one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h2/client_session.h"
#include "http/h2/server_session.h"

namespace sluice::http::h2::rig {

using FieldList = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum FrameType : uint8_t {
  data_frame = 0,
  headers_frame = 1,
  priority_frame = 2,
  rst_frame = 3,
  settings_frame = 4,
  push_frame = 5,
  ping_frame = 6,
  goaway_frame = 7,
  window_frame = 8,
  continuation_frame = 9,
  priority_update_frame = 16,
};
inline constexpr uint8_t end_stream = 1;
inline constexpr uint8_t acknowledgement = 1;
inline constexpr uint8_t end_headers = 4;
inline constexpr uint8_t padded = 8;

struct Frame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;
  [[nodiscard]] uint32_t number(size_t at = 0) const {
    uint32_t value = 0;
    for (size_t byte = at; byte < at + 4; ++byte)
      value = value << 8 | static_cast<uint8_t>(payload.at(byte));
    return value;
  }
};

inline std::string number(uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

inline std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string text = number(static_cast<uint32_t>(payload.size())).substr(1);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  return text + number(stream) + std::string{payload};
}

inline std::string hpack_string(std::string_view text) {
  std::string out;
  if (text.size() < 127) {
    out += static_cast<char>(text.size());
  } else {
    out += static_cast<char>(127);
    size_t left = text.size() - 127;
    for (; left >= 128; left /= 128) out += static_cast<char>(left % 128 | 128);
    out += static_cast<char>(left);
  }
  return out + std::string{text};
}

inline std::string hpack(const FieldList& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out += '\0';
    out += hpack_string(name) + hpack_string(value);
  }
  return out;
}

inline std::string headers(uint32_t stream, const FieldList& fields,
                           uint8_t flags = end_headers | end_stream) {
  return frame(headers_frame, flags, stream, hpack(fields));
}
inline std::string data(uint32_t stream, std::string_view payload, uint8_t flags = 0) {
  return frame(data_frame, flags, stream, payload);
}
inline std::string rst(uint32_t stream, ErrorCode code = ErrorCode::cancel) {
  return frame(rst_frame, 0, stream, number(static_cast<uint32_t>(code)));
}
inline std::string window(uint32_t stream, uint32_t bytes) {
  return frame(window_frame, 0, stream, number(bytes));
}
inline std::string setting(uint16_t id, uint32_t value) {
  return number(id).substr(2) + number(value);
}
inline std::string settings(std::string_view entries = {}) {
  return frame(settings_frame, 0, 0, entries);
}

inline FieldList get(std::string path = "/", FieldList more = {}) {
  FieldList fields = {{":method", "GET"},
                      {":scheme", "http"},
                      {":authority", "sluice.test"},
                      {":path", std::move(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
inline FieldList post(std::string path = "/", FieldList more = {}) {
  FieldList fields = get(std::move(path), std::move(more));
  fields[0].second = "POST";
  return fields;
}

inline std::vector<Frame> frames_of(std::string_view bytes) {
  std::vector<Frame> frames;
  while (bytes.size() >= 9) {
    const auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
    const size_t size =
        static_cast<size_t>(byte(0)) << 16 | static_cast<size_t>(byte(1)) << 8 | byte(2);
    if (bytes.size() < 9 + size) break;
    Frame one{.type = byte(3), .flags = byte(4)};
    one.payload = bytes.substr(5, 4);
    one.stream = one.number();
    one.payload = bytes.substr(9, size);
    frames.push_back(std::move(one));
    bytes.remove_prefix(9 + size);
  }
  return frames;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

// What a session has to send, until it has nothing more, in Outputs of `memory_bytes`.
template <typename AnySession>
std::string written(AnySession& session, uint64_t now_ms = 0, size_t memory_bytes = 32 * 1024) {
  std::string all;
  std::vector<std::byte> memory(memory_bytes);
  Output output{memory};
  for (int turns = 0; turns < 100'000; ++turns) {
    session.write(output, now_ms);
    if (output.empty()) break;
    for (const auto& piece : output.pieces())
      all.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    session.sent(output);
  }
  return all;
}

// A server, and a client that speaks frames to it.
struct Server {
  explicit Server(const Bounds& bounds = {}, size_t memory_bytes = 16 << 20)
      : context(memory_bytes), session(context, bounds) {}

  bool send(std::string_view bytes) { return session.receive(bytes_of(bytes), now_ms); }
  void greet(std::string_view entries = {}) {
    static_cast<void>(send(std::string{preface} + settings(entries)));
    static_cast<void>(take());
    static_cast<void>(send(frame(settings_frame, acknowledgement, 0, {})));
  }
  std::vector<Frame> take() {
    std::vector<Frame> frames = frames_of(written(session, now_ms));
    if (!frames.empty()) last_taken = frames;
    return frames;
  }
  // The next event's stream must be this one.
  Stream* next(Events* events = nullptr) {
    Stream* stream = session.next_event();
    if (stream != nullptr) {
      const Events told = Session::take_events(*stream);
      if (events != nullptr) *events = told;
    }
    return stream;
  }
  Rule read(Stream& stream) { return session.read_request(stream, head_memory, head).rule; }

  Context context;
  ServerSession session;
  uint64_t now_ms = 1000;
  std::vector<Frame> last_taken;
  std::vector<char> head_memory = std::vector<char>(head_memory_bytes);
  RequestHead head;
};

inline const Frame* find(const std::vector<Frame>& frames, uint8_t type, uint32_t stream = 0) {
  for (const Frame& one : frames) {
    if (one.type == type && (stream == 0 || one.stream == stream)) return &one;
  }
  return nullptr;
}

inline constexpr std::string_view ok_head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";

}  // namespace sluice::http::h2::rig
