// The fields that speak of who calls: those that tell an endpoint, which are ours alone, and those
// that a caller shows a credential in. The one list that everything that drops such fields asks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace sluice::config {

// Names of fields, whatever their case; none is empty.
class FieldNames {
 public:
  void add(std::string_view name);
  // Nearly every name is told apart by its length and its first letter.
  [[nodiscard]] bool has(std::string_view name) const {
    return (lengths_ >> (name.size() & 63) & letters_ >> (name.front() & 31) & 1) != 0 &&
           is_one_of_them(name);
  }
  [[nodiscard]] const std::vector<std::string>& all() const { return names_; }

 private:
  [[nodiscard]] bool is_one_of_them(std::string_view name) const;

  uint64_t lengths_ = 0;  // a bit a length, modulo 64
  uint64_t letters_ = 0;  // a bit a first letter, whatever its case
  std::vector<std::string> names_;
};

struct IdentityFields {
  explicit IdentityFields(const std::vector<AuthConfig>& auth);
  FieldNames told;   // claims and payloads, for endpoints
  FieldNames shown;  // credentials, of callers
};

}  // namespace sluice::config
