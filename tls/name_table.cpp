// Looks names up, exact ones before wildcards.
#include "tls/name_table.h"

#include <array>

namespace sluice::tls {

namespace {

constexpr size_t name_bytes_max = 253;

}  // namespace

void NameTable::add(std::string_view name, uint32_t value) { names_.emplace(name, value); }

std::optional<uint32_t> NameTable::find(std::string_view name) const {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > name_bytes_max) return std::nullopt;
  std::array<char, name_bytes_max + 1> lowered;
  // One place in front, for the "*" of a wildcard.
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    lowered[i + 1] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  const std::string_view exact{lowered.data() + 1, name.size()};
  if (exact.front() == '*') return std::nullopt;
  if (const auto found = names_.find(exact); found != names_.end()) return found->second;
  const size_t dot = exact.find('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  lowered[dot] = '*';  // the last letter of the first label
  const std::string_view wild{lowered.data() + dot, name.size() - dot + 1};
  if (const auto found = names_.find(wild); found != names_.end()) return found->second;
  return std::nullopt;
}

}  // namespace sluice::tls
