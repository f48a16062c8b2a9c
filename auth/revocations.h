// Tokens that are refused although they are good: by their id, by their subject, or by their
// subject if issued before a time.
//
// A file of lines; empty ones and those that begin with # say nothing:
//   jti ID
//   sub SUBJECT
//   sub SUBJECT before 1700000000
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principal.h"

namespace sluice::auth {

class Revocations {
 public:
  // Nothing if a line can't be read; `complaint` then says which and why.
  static std::optional<Revocations> parse(std::string_view text, std::string& complaint);

  // `issued_at` is nothing for a token that does not say: it may have been issued at any time.
  [[nodiscard]] bool is_revoked(std::string_view id, std::string_view subject,
                                std::optional<EpochSeconds> issued_at) const;
  [[nodiscard]] size_t size() const { return ids_.size() + subjects_.size(); }

 private:
  struct Subject {
    std::string name;
    EpochSeconds before;
  };
  std::vector<std::string> ids_;   // sorted
  std::vector<Subject> subjects_;  // sorted by name
};

}  // namespace sluice::auth
