#include "auth/revocations.h"

#include <algorithm>
#include <charconv>

namespace sluice::auth {

namespace {

// The next word of a line, which is cut off.
std::string_view take_word(std::string_view& line) {
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return line = {};
  line.remove_prefix(begin);
  const size_t size = std::min(line.find_first_of(" \t\r"), line.size());
  const std::string_view word = line.substr(0, size);
  line.remove_prefix(size);
  return word;
}

}  // namespace

std::optional<Revocations> Revocations::parse(std::string_view text, std::string& complaint) {
  Revocations revocations;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view kind = take_word(line);
    if (kind.empty() || kind.front() == '#') continue;
    const std::string_view name = take_word(line);
    const std::string_view before = take_word(line);
    const std::string_view time = take_word(line);
    int64_t seconds = INT64_MAX / 4;
    bool is_right = !name.empty() && take_word(line).empty() &&
                    (kind == "jti" ? before.empty() : kind == "sub");
    if (is_right && !before.empty()) {
      const auto [rest, failure] = std::from_chars(time.data(), time.data() + time.size(), seconds);
      is_right = before == "before" && !time.empty() && failure == std::errc{} &&
                 rest == time.data() + time.size();
    }
    if (!is_right) {
      complaint = "line " + std::to_string(number) +
                  ": write jti ID, sub SUBJECT, or sub SUBJECT before SECONDS";
      return std::nullopt;
    }
    if (kind == "jti") {
      revocations.ids_.emplace_back(name);
    } else {
      revocations.subjects_.push_back(
          {std::string{name}, EpochSeconds{std::chrono::seconds{seconds}}});
    }
  }
  std::sort(revocations.ids_.begin(), revocations.ids_.end());
  std::sort(revocations.subjects_.begin(), revocations.subjects_.end(),
            [](const Subject& a, const Subject& b) { return a.name < b.name; });
  return revocations;
}

bool Revocations::is_revoked(std::string_view id, std::string_view subject,
                             std::optional<EpochSeconds> issued_at) const {
  if (!id.empty() && std::binary_search(ids_.begin(), ids_.end(), id, std::less<>{})) return true;
  if (subject.empty()) return false;
  auto found = std::lower_bound(subjects_.begin(), subjects_.end(), subject,
                                [](const Subject& a, std::string_view b) { return a.name < b; });
  for (; found != subjects_.end() && found->name == subject; ++found) {
    if (!issued_at || *issued_at < found->before) return true;
  }
  return false;
}

}  // namespace sluice::auth
