// One header block as it is decoded, field by field, before anybody has judged it. Whoever sends
// too much of it is not given more memory: what is beyond the bounds is counted and dropped, and
// the block says which rule it broke.
//
// Owned by a stream; its memory is its core's.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/h2/memory.h"
#include "http/rule.h"

namespace sluice::http::h2 {

class FieldBlock {
 public:
  explicit FieldBlock(Memory& memory) : memory_(memory) {}
  ~FieldBlock() { memory_.give_back(data_); }
  FieldBlock(const FieldBlock&) = delete;
  FieldBlock& operator=(const FieldBlock&) = delete;

  enum class Added : uint8_t { kept, dropped, no_memory };
  [[nodiscard]] Added add(std::string_view name, std::string_view value, uint32_t bytes_max);

  // The rule that the block broke by its size, if any.
  [[nodiscard]] Rule rule() const { return rule_; }
  // As text, with what was dropped.
  [[nodiscard]] uint64_t bytes_seen() const { return bytes_seen_; }
  [[nodiscard]] uint32_t count() const { return count_; }

  // Calls visit(name, value) for each field in the order of the block, while it returns
  // Rule::none; what it returned last. The views live as long as the block.
  template <typename Visit>
  Rule for_each(Visit&& visit) const {
    for (uint32_t at = 0; at < size_;) {
      const Entry entry = entry_at(at);
      const char* name = data_ + at + sizeof(Entry);
      const Rule rule = visit(std::string_view{name, entry.name_size},
                              std::string_view{name + entry.name_size, entry.value_size});
      if (rule != Rule::none) return rule;
      at += static_cast<uint32_t>(sizeof(Entry)) + entry.name_size + entry.value_size;
    }
    return Rule::none;
  }

  FieldBlock* next = nullptr;  // of the same stream: an answer can have several
  bool ends_stream = false;

 private:
  struct Entry {
    uint16_t name_size;
    uint16_t value_size;
  };
  [[nodiscard]] Entry entry_at(uint32_t at) const;
  [[nodiscard]] bool reserve(uint32_t bytes);

  Memory& memory_;
  char* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
  uint32_t count_ = 0;
  Rule rule_ = Rule::none;
  uint64_t bytes_seen_ = 0;
};

}  // namespace sluice::http::h2
