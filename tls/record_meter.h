// Where in a record the bytes of a connection stand: so that no more is taken from the wire than
// there is room for once it is opened.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::tls {

class RecordMeter {
 public:
  void note(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      if (have_ < header_bytes) {
        const auto byte = static_cast<uint32_t>(bytes.front());
        if (have_ == 3) size_ = byte << 8;
        if (have_ == 4) size_ |= byte;
        ++have_;
        bytes = bytes.subspan(1);
      } else {
        const size_t part = std::min<size_t>(bytes.size(), missing());
        have_ += static_cast<uint32_t>(part);
        bytes = bytes.subspan(part);
      }
      if (have_ >= header_bytes && have_ == header_bytes + size_) have_ = size_ = 0;
    }
  }
  // Bytes of a record that is not whole.
  [[nodiscard]] uint32_t partial() const { return have_; }
  // So many that a header, or else a record, is whole.
  [[nodiscard]] uint32_t missing() const {
    return have_ < header_bytes ? header_bytes - have_ : header_bytes + size_ - have_;
  }

 private:
  static constexpr uint32_t header_bytes = 5;
  uint32_t have_ = 0;
  uint32_t size_ = 0;
};

}  // namespace sluice::tls
