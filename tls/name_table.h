// Which certificates serve a name: exact names before wildcards, which stand for one label
// (RFC 6125 6.4.3). Immutable once built; a look-up allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::tls {

class NameTable {
 public:
  // "api.example" or "*.example", in lower case. The first to say a name keeps it.
  void add(std::string_view name, uint32_t value);
  // In any case, with a dot at its end or without.
  [[nodiscard]] std::optional<uint32_t> find(std::string_view name) const;
  [[nodiscard]] size_t size() const { return names_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> names_;
};

}  // namespace sluice::tls
