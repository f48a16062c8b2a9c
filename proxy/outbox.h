// What waits to be sent in one direction: a few pieces of memory that stay where they are until
// they have left.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/assert.h"
#include "core/kernel.h"
#include "core/unset_array.h"
#include "proxy/body_part.h"

namespace sluice::proxy {

class Outbox {
 public:
  void add(std::span<const std::byte> piece) {
    if (piece.empty()) return;
    SLUICE_ASSERT(count_ < pieces_.size());
    pieces_[count_++] = piece;
  }
  // Before everything else, nothing of which has left.
  void add_front(std::span<const std::byte> piece) {
    SLUICE_ASSERT(first_ == 0 && count_ < pieces_.size());
    std::copy_backward(pieces_.begin(), pieces_.begin() + count_, pieces_.begin() + count_ + 1);
    pieces_[0] = piece;
    ++count_;
  }
  [[nodiscard]] bool empty() const { return first_ == count_; }
  [[nodiscard]] std::span<const std::byte> front() const { return pieces_[first_]; }
  [[nodiscard]] core::Continuation continuation() const {
    return first_ + 1 < count_ ? core::Continuation::follows : core::Continuation::none;
  }
  void advance(size_t bytes) {
    SLUICE_ASSERT(!empty() && bytes <= front().size());
    pieces_[first_] = pieces_[first_].subspan(bytes);
    if (!pieces_[first_].empty()) return;
    if (++first_ == count_) first_ = count_ = 0;
  }
  [[nodiscard]] size_t size_bytes() const {
    size_t sum = 0;
    for (size_t index = first_; index < count_; ++index) sum += pieces_[index].size();
    return sum;
  }
  void clear() { first_ = count_ = 0; }

 private:
  core::UnsetArray<std::span<const std::byte>, 7> pieces_;
  uint8_t first_ = 0;
  uint8_t count_ = 0;
};

[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline std::span<char> chars_of(std::span<std::byte> bytes) {
  return {reinterpret_cast<char*>(bytes.data()), bytes.size()};
}

// Adds a part of a chunked body, framed anew where it lies (http::frame_chunk() says what is
// overwritten). Adds nothing if nothing came.
void add_chunk(Outbox& outbox, const BodyPart& part);

// What became of an attempt to send.
enum class SendProgress : uint8_t {
  done,     // all of it has left
  waiting,  // an operation is under way; its completion goes on
  broken,   // the connection is
};

}  // namespace sluice::proxy
