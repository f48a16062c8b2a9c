// One direction of a body or a tunnel whose bytes go past us: from a socket into a pipe, from the
// pipe into the other socket, as far as both go without waiting. What must be waited for is said;
// readiness is a hint, and asked for again when it was wrong.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/kernel.h"
#include "core/limits.h"

namespace sluice::proxy {

struct Splice {
  core::Pipe pipe;       // while bytes are on their way
  uint32_t in_pipe = 0;  // counted by us: EAGAIN does not tell an empty socket from a full pipe
  // Whether the last wake-up brought enough to be worth it.
  bool is_bulk = false;
  void note_size(size_t bytes) { is_bulk = bytes >= core::limits::splice_wake_bytes_min; }
};

struct Spliced {
  enum class Next : uint8_t {
    readable,       // the source has no more for now, or others are due
    writable,       // the sink takes no more for now
    done,           // all of `remaining` has been moved
    ended,          // the source's FIN
    source_broken,  //
    sink_broken,
  };
  Next next;
  uint64_t moved = 0;  // out of the pipe
};

// `remaining` counts down what is taken from the source. Source and Sink are connections, of
// `context`'s.
template <typename Context, typename Source, typename Sink>
Spliced splice_on(Context& context, Splice& splice, Source& source, Sink& sink,
                  uint64_t& remaining) {
  using Next = Spliced::Next;
  Spliced result{.next = Next::done};
  const auto waits = [](core::Error error) {
    return error == core::Error::would_block || error == core::Error::interrupted;
  };
  while (splice.in_pipe > 0 || remaining > 0) {
    if (splice.in_pipe == 0) {
      if (result.moved >= core::limits::splice_turn_bytes_max)
        return {Next::readable, result.moved};
      const auto taken = source.splice_in(context, splice.pipe,
                                          std::min<uint64_t>(remaining, splice.pipe.capacity));
      if (!taken)
        return {waits(taken.error()) ? Next::readable : Next::source_broken, result.moved};
      if (taken.value() == 0) return {Next::ended, result.moved};
      splice.in_pipe = static_cast<uint32_t>(taken.value());
      remaining -= taken.value();
    }
    const auto sent = sink.splice_out(context, splice.pipe, splice.in_pipe);
    if (!sent) return {waits(sent.error()) ? Next::writable : Next::sink_broken, result.moved};
    splice.in_pipe -= static_cast<uint32_t>(sent.value());
    result.moved += sent.value();
  }
  return result;
}

}  // namespace sluice::proxy
