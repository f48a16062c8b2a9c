// The one list of fields that say who calls.
#include "config/identity_fields.h"

#include <algorithm>

#include "http/field.h"

namespace sluice::config {

void FieldNames::add(std::string_view name) {
  if (name.empty() || has(name)) return;
  lengths_ |= uint64_t{1} << (name.size() & 63);
  letters_ |= uint64_t{1} << (name.front() & 31);
  names_.emplace_back(name);
}

IdentityFields::IdentityFields(const std::vector<AuthConfig>& auth) {
  for (const AuthConfig& entry : auth) {
    for (const ClaimField& field : entry.claim_fields) told.add(field.name);
    told.add(entry.payload_field);
    for (const auth::TokenSource& source : entry.sources) shown.add(source.name);
  }
}

bool FieldNames::is_one_of_them(std::string_view name) const {
  return std::any_of(names_.begin(), names_.end(),
                     [&](const std::string& one) { return http::equals_ignoring_case(one, name); });
}

}  // namespace sluice::config
