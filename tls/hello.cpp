// Walks over record headers to the end of a ClientHello.
#include "tls/hello.h"

#include <algorithm>
#include <cstring>

namespace sluice::tls {

namespace {

constexpr size_t record_header_bytes = 5;
constexpr size_t record_bytes_max = 16 * 1024;
constexpr size_t message_header_bytes = 4;
constexpr uint8_t handshake_record = 22;
constexpr uint8_t client_hello = 1;
// A client that cuts its hello into single bytes would make us do much for little.
constexpr size_t records_max = 64;

uint8_t at(std::span<const std::byte> bytes, size_t index) {
  return static_cast<uint8_t>(bytes[index]);
}

// The method of a request: capital letters, and a blank behind them or nothing yet.
HelloState without_tls(std::span<const std::byte> bytes) {
  constexpr size_t method_bytes_max = 8;
  for (size_t i = 0; i < bytes.size() && i <= method_bytes_max; ++i) {
    const uint8_t c = at(bytes, i);
    if (c == ' ' && i > 0) return HelloState::plain_http;
    if (c < 'A' || c > 'Z') return HelloState::foreign;
  }
  return bytes.size() > method_bytes_max ? HelloState::foreign : HelloState::incomplete;
}

}  // namespace

HelloState examine_hello(std::span<const std::byte> bytes) {
  if (bytes.empty()) return HelloState::incomplete;
  if (at(bytes, 0) != handshake_record) return without_tls(bytes);
  std::byte header[message_header_bytes];
  size_t have = 0;  // bytes of the message
  size_t need = message_header_bytes;
  size_t place = 0;
  for (size_t record = 0; record < records_max; ++record) {
    if (bytes.size() - place < record_header_bytes) {
      const bool is_other = (place < bytes.size() && at(bytes, place) != handshake_record) ||
                            (place + 1 < bytes.size() && at(bytes, place + 1) != 3);
      return is_other ? HelloState::foreign : HelloState::incomplete;
    }
    const size_t size = size_t{at(bytes, place + 3)} << 8 | at(bytes, place + 4);
    if (at(bytes, place) != handshake_record || at(bytes, place + 1) != 3 || size == 0 ||
        size > record_bytes_max)
      return HelloState::foreign;
    place += record_header_bytes;
    const auto part = bytes.subspan(place, std::min(size, bytes.size() - place));
    if (have < message_header_bytes) {
      const size_t more = std::min(message_header_bytes - have, part.size());
      std::memcpy(header + have, part.data(), more);
      if (have == 0 && more > 0 && static_cast<uint8_t>(header[0]) != client_hello)
        return HelloState::foreign;
      if (have + more == message_header_bytes)
        need += size_t{static_cast<uint8_t>(header[1])} << 16 |
                size_t{static_cast<uint8_t>(header[2])} << 8 | static_cast<uint8_t>(header[3]);
    }
    have += part.size();
    if ((record + 1) * record_header_bytes + need > hello_bytes_max) return HelloState::too_long;
    if (have >= need && have >= message_header_bytes) return HelloState::whole;
    if (part.size() < size) return HelloState::incomplete;
    place += size;
  }
  return HelloState::too_long;
}

bool looks_like_tls(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && at(bytes, 0) == handshake_record && at(bytes, 1) == 3 &&
         at(bytes, 2) <= 4;
}

}  // namespace sluice::tls
