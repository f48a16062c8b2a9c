// The bytes that a session has to send: frames, written into memory of the caller's, and between
// them payloads that stay where the caller offered them. What one Output holds is sent before the
// session writes into it again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/assert.h"

namespace sluice::http::h2 {

class Stream;

class Output {
 public:
  static constexpr size_t pieces_max = 7;

  explicit Output(std::span<std::byte> memory) : memory_(memory) {}

  // In the order in which they are sent.
  [[nodiscard]] std::span<const std::span<const std::byte>> pieces() const {
    return {pieces_.data(), count_};
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] size_t size_bytes() const {
    size_t sum = 0;
    for (const auto& piece : pieces()) sum += piece.size();
    return sum;
  }

 private:
  friend class Session;
  struct Payload {
    Stream* stream;
    uint32_t bytes;
  };

  [[nodiscard]] size_t room() const { return memory_.size() - used_; }
  // Whether a frame's head and a payload fit, whichever way the payload goes.
  [[nodiscard]] bool has_room(size_t bytes) const {
    return room() >= bytes && count_ + 2 <= pieces_max;
  }
  void copy(std::span<const std::byte> bytes) {
    SLUICE_ASSERT(bytes.size() <= room());
    std::byte* at = memory_.data() + used_;
    std::memcpy(at, bytes.data(), bytes.size());
    used_ += bytes.size();
    if (count_ > 0 && pieces_[count_ - 1].data() + pieces_[count_ - 1].size() == at) {
      pieces_[count_ - 1] = {pieces_[count_ - 1].data(), pieces_[count_ - 1].size() + bytes.size()};
    } else {
      add({at, bytes.size()});
    }
  }
  void refer(Stream& stream, std::span<const std::byte> bytes) {
    add(bytes);
    SLUICE_ASSERT(payload_count_ < payloads_.size());
    payloads_[payload_count_++] = {&stream, static_cast<uint32_t>(bytes.size())};
  }
  void add(std::span<const std::byte> piece) {
    SLUICE_ASSERT(count_ < pieces_max);
    pieces_[count_++] = piece;
  }
  void clear() { used_ = count_ = payload_count_ = 0; }

  std::span<std::byte> memory_;
  size_t used_ = 0;
  std::array<std::span<const std::byte>, pieces_max> pieces_;
  size_t count_ = 0;
  std::array<Payload, pieces_max> payloads_;
  size_t payload_count_ = 0;
};

}  // namespace sluice::http::h2
