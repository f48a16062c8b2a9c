// Turns fields of HTTP/1.1 into those of HTTP/2.
#include "http/h2/field_block.h"

#include <algorithm>
#include <cstring>

#include "core/limits.h"

namespace sluice::http::h2 {

namespace {

constexpr uint32_t first_bytes = 1000;
constexpr uint32_t text_overhead = 4;  // a colon, a blank, CR and LF
// Pseudo-fields come on top of what a head may have.
constexpr uint32_t fields_max = core::limits::head_fields_max + 6;

}  // namespace

FieldBlock::Entry FieldBlock::entry_at(uint32_t at) const {
  Entry entry;
  std::memcpy(&entry, data_ + at, sizeof entry);
  return entry;
}

FieldBlock::Added FieldBlock::add(std::string_view name, std::string_view value,
                                  uint32_t bytes_max) {
  bytes_seen_ += name.size() + value.size() + text_overhead;
  if (rule_ == Rule::none && bytes_seen_ > bytes_max) rule_ = Rule::head_too_large;
  if (rule_ == Rule::none && count_ == fields_max) rule_ = Rule::too_many_fields;
  if (rule_ != Rule::none) return Added::dropped;
  const auto bytes = static_cast<uint32_t>(sizeof(Entry) + name.size() + value.size());
  if (!reserve(bytes)) return Added::no_memory;
  const Entry entry{static_cast<uint16_t>(name.size()), static_cast<uint16_t>(value.size())};
  char* at = data_ + size_;
  std::memcpy(at, &entry, sizeof entry);
  std::copy(name.begin(), name.end(), at + sizeof entry);
  std::copy(value.begin(), value.end(), at + sizeof entry + name.size());
  size_ += bytes;
  ++count_;
  return Added::kept;
}

bool FieldBlock::reserve(uint32_t bytes) {
  if (capacity_ - size_ >= bytes) return true;
  const uint32_t wanted = std::max({first_bytes, 2 * capacity_, size_ + bytes});
  void* larger = memory_.resize(data_, wanted);
  if (larger == nullptr) return false;
  data_ = static_cast<char*>(larger);
  capacity_ = wanted;
  return true;
}

}  // namespace sluice::http::h2
