// Tokens that are refused although they are good: by their id, by their subject, or by their
// subject if issued before a time.
//
// A file of lines; empty ones and those that begin with # say nothing:
//   jti ID
//   sub SUBJECT
//   sub SUBJECT before 1700000000
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/principal.h"

namespace sluice::auth {

// Immutable; copies share what was read.
class Revocations {
 public:
  // Nothing if a line can't be read; `complaint` then says which and why.
  static std::optional<Revocations> parse(std::string_view text, std::string& complaint);

  // `issued_at` is nothing for a token that does not say: it may have been issued at any time.
  [[nodiscard]] bool is_revoked(std::string_view id, std::string_view subject,
                                std::optional<EpochSeconds> issued_at) const;
  [[nodiscard]] size_t size() const;

 private:
  friend class RevocationReader;
  struct Data;
  std::shared_ptr<const Data> data_;  // nullptr: nobody is revoked
};

// Reads them by parts, whatever a part ends with.
class RevocationReader {
 public:
  RevocationReader();
  void take(std::string_view part);
  // Whether the last line has an end, and there was one.
  [[nodiscard]] bool is_whole() const { return any_ && rest_.empty(); }
  [[nodiscard]] std::optional<Revocations> finish(std::string& complaint);

 private:
  void take_line(std::string_view line);
  std::shared_ptr<Revocations::Data> data_;
  std::string rest_;  // of a line whose end has not come
  std::string complaint_;
  size_t number_ = 0;
  bool any_ = false;
};

}  // namespace sluice::auth
