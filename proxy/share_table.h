// Who has how much of what all of them share: a few numbers for each of many keys, as long as a key
// has anything. Fixed in size, taken at start; a key is known by a hash that nobody outside can
// compute. One worker owns a table.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::proxy {

struct Share {
  uint64_t hash = 0;
  uint32_t members = 0;      // what keeps it: all that refers to it
  uint32_t connections = 0;  // of an address: from it
  uint32_t exchanges = 0;    // requests at once
  uint32_t upstream = 0;     // connections to endpoints that they use
};

class ShareTable {
 public:
  // For as many members as there can be.
  explicit ShareTable(uint32_t members_max);

  // The key's share with one member more. It stays where it is until its last member leaves.
  [[nodiscard]] Share& join(uint64_t hash);
  static void join(Share& share) { ++share.members; }
  void leave(Share& share);
  [[nodiscard]] uint32_t members(uint64_t hash) const;
  [[nodiscard]] uint32_t connections(uint64_t hash) const;
  [[nodiscard]] uint32_t keys() const { return keys_; }
  [[nodiscard]] static uint64_t size_bytes(uint32_t members_max);

 private:
  static constexpr uint32_t none = UINT32_MAX;
  [[nodiscard]] uint64_t home(uint64_t hash) const { return hash & (slots_.size() - 1); }
  [[nodiscard]] uint64_t after(uint64_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  // Where the key is, or the free slot where it would be.
  [[nodiscard]] uint64_t find(uint64_t hash) const;

  std::vector<Share> shares_;
  std::vector<uint32_t> free_;   // of shares_
  std::vector<uint32_t> slots_;  // an index into shares_, or none; a power of two of them
  uint32_t keys_ = 0;
};

}  // namespace sluice::proxy
