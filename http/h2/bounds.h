// What an HTTP/2 session is bounded by. Each bound is announced to the peer where the protocol has
// a setting for it, and enforced whatever the peer makes of that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/limits.h"

namespace sluice::http::h2 {

enum class ExtendedConnect : uint8_t { refused, allowed };

struct Bounds {
  bool operator==(const Bounds&) const = default;
  uint32_t streams = 128;                // at once; of a client session: that it opens at most
  uint32_t stream_window = 64 * 1024;    // bytes of a body that wait to be taken
  uint32_t connection_window = 1 << 20;  // of all streams together
  ExtendedConnect extended_connect = ExtendedConnect::refused;  // RFC 8441
};

// Of one header block, as text.
inline constexpr uint32_t header_list_bytes_max = core::limits::head_bytes_max;
// What a block may unfold to before the connection ends: fields beyond header_list_bytes_max are
// dropped, and their request is answered with 431.
inline constexpr uint32_t header_list_bomb_bytes = 8 * header_list_bytes_max;
inline constexpr uint32_t continuations_max = 7;  // nghttp2 itself ends a session at its ninth
inline constexpr uint32_t settings_entries_max = 32;
inline constexpr uint32_t acknowledgements_max = 64;  // of SETTINGS and PING, not yet sent
inline constexpr uint32_t hpack_table_bytes = 4096;   // each direction
// Where a message that comes in is written: the block, and once more for what is put together.
inline constexpr size_t head_memory_bytes = core::limits::buffer_receive_bytes;
// A body that waits to be taken lies in blocks of this much.
inline constexpr uint32_t body_block_bytes = 4096;

// The most memory that a session takes of its core's pool, when every stream is open and every
// window is full.
[[nodiscard]] constexpr size_t session_bytes_max(const Bounds& bounds) {
  constexpr size_t base = 48 * 1024;
  constexpr size_t stream = 2 * 1024;
  constexpr size_t head = 2 * header_list_bytes_max;
  // A body ends in a block that is not full, and begins in one that is partly taken.
  const size_t bodies = bounds.connection_window + size_t{bounds.streams} * 2 * body_block_bytes;
  return base + head + 2 * size_t{bounds.streams} * stream + bodies;
}

}  // namespace sluice::http::h2
