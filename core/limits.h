// The bounds that everything else is sized by. Each has a behaviour when it is reached, and a
// counter.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::core::limits {

// The ring. A turn handles at most `completions_per_turn`; the rest wait for the next turn.
inline constexpr uint32_t submission_entries = 1024;
inline constexpr uint32_t completion_entries = 16384;
inline constexpr uint32_t completions_per_turn = 512;

// A turn with at most this many completions sends inline; a busier one batches its sends in the
// ring.
inline constexpr uint32_t small_batch = 4;

// A message buffer: bytes come in at the front, what leaves is written behind them.
//   [ headroom | receive area | send area | trailer area ]
// The headroom takes a chunk-size line in front of a relayed body; the tail of the receive area its
// CRLF.
inline constexpr uint32_t buffer_headroom = 16;
inline constexpr uint32_t buffer_receive_bytes = 64 * 1024;
inline constexpr uint32_t buffer_tailroom = 16;
inline constexpr uint32_t buffer_send_bytes = 56 * 1024;
inline constexpr uint32_t buffer_trailer_bytes = 8448;
inline constexpr uint32_t buffer_bytes = buffer_headroom + buffer_receive_bytes + buffer_tailroom +
                                         buffer_send_bytes + buffer_trailer_bytes;
// Neighbours start on different cache sets: an odd number of cache lines apart.
inline constexpr uint32_t buffer_stride = (buffer_bytes / 128 + 1) * 128 + 64;

inline constexpr uint32_t head_bytes_max = 32 * 1024;
inline constexpr uint32_t head_fields_max = 100;
inline constexpr uint32_t list_options_max = 32;  // of Connection, and of TE and Upgrade
inline constexpr uint32_t target_bytes_max = 8 * 1024;
inline constexpr uint32_t informational_responses_max = 16;
inline constexpr uint32_t chunk_extension_bytes_max = 256;
inline constexpr uint32_t chunk_line_bytes_max = 1024;  // size, extensions and CRLF
inline constexpr uint32_t trailer_bytes_max = 8 * 1024;
// Kept trailers: a blank more a field than was received, and the empty line.
inline constexpr uint32_t trailer_memory_bytes = trailer_bytes_max + head_fields_max + 4;

// Bodies and tunnels without copying (splice(2)): worth it from this much on, as long as a wake-up
// brings enough (bench/splice shows where it begins to pay); a turn gives one connection this much
// at most.
inline constexpr uint32_t splice_bytes_min = 64 * 1024;
inline constexpr uint32_t splice_wake_bytes_min = 16 * 1024;
inline constexpr uint32_t splice_turn_bytes_max = 1024 * 1024;
inline constexpr uint32_t pipe_bytes = 256 * 1024;
inline constexpr uint32_t pipe_bytes_min = 64 * 1024;

// What the kernel may keep of one direction of a connection, its own overhead included.
inline constexpr uint32_t socket_buffer_bytes = 512 * 1024;

inline constexpr uint32_t workers_max = 256;
inline constexpr uint32_t offload_threads = 2;

static_assert(buffer_stride % 64 == 0 && (buffer_stride / 64) % 2 == 1);
static_assert(buffer_stride >= buffer_bytes);
static_assert(buffer_receive_bytes >= 2 * head_bytes_max,
              "a head leaves as much room again for the body");
static_assert(buffer_trailer_bytes >= trailer_memory_bytes);
static_assert(buffer_receive_bytes <= 65536, "offsets into a head are 16 bits");
static_assert(buffer_send_bytes >= head_bytes_max + 8192 + (4096 + 2048) + 4096 + 4096 + 1024,
              "a rewritten head always fits: with a token's payload as a field of its own, its "
              "claims as others, a route's fields, a longer path");
static_assert(completion_entries >= 2 * completions_per_turn);

}  // namespace sluice::core::limits
