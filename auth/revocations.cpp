// Reads a list of revocations in parts, and answers whether a token is on it.
#include "auth/revocations.h"

#include <algorithm>
#include <charconv>
#include <vector>

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

constexpr size_t line_bytes_max = 4096;

}  // namespace

// Names in one text, sorted by what they are: a file may have millions.
struct Revocations::Data {
  struct Name {
    uint64_t begin = 0;
    uint32_t size = 0;
  };
  struct Subject {
    Name name;
    EpochSeconds before;
  };
  std::string text;
  std::vector<Name> ids;
  std::vector<Subject> subjects;

  Name keep(std::string_view name) {
    const Name kept{text.size(), static_cast<uint32_t>(name.size())};
    text += name;
    return kept;
  }
  [[nodiscard]] std::string_view of(const Name& name) const {
    return std::string_view{text}.substr(name.begin, name.size);
  }
};

RevocationReader::RevocationReader() : data_(std::make_shared<Revocations::Data>()) {}

void RevocationReader::take(std::string_view part) {
  any_ = any_ || !part.empty();
  while (!part.empty() && complaint_.empty()) {
    const size_t end = part.find('\n');
    if (end == std::string_view::npos) {
      rest_ += part;
      if (rest_.size() > line_bytes_max) take_line(rest_);
      return;
    }
    if (rest_.empty()) {
      take_line(part.substr(0, end));
    } else {
      rest_ += part.substr(0, end);
      take_line(rest_);
      rest_.clear();
    }
    part.remove_prefix(end + 1);
  }
}

void RevocationReader::take_line(std::string_view line) {
  ++number_;
  if (line.size() > line_bytes_max) {
    complaint_ = "line " + std::to_string(number_) + " has more than " +
                 std::to_string(line_bytes_max) + " bytes";
    return;
  }
  const std::string_view kind = take_word(line);
  if (kind.empty() || kind.front() == '#') return;
  const std::string_view name = take_word(line);
  const std::string_view before = take_word(line);
  const std::string_view time = take_word(line);
  int64_t seconds = INT64_MAX / 4;
  bool is_right =
      !name.empty() && take_word(line).empty() && (kind == "jti" ? before.empty() : kind == "sub");
  if (is_right && !before.empty()) {
    const auto [rest, failure] = std::from_chars(time.data(), time.data() + time.size(), seconds);
    is_right = before == "before" && !time.empty() && failure == std::errc{} &&
               rest == time.data() + time.size();
  }
  if (!is_right) {
    complaint_ = "line " + std::to_string(number_) +
                 ": write jti ID, sub SUBJECT, or sub SUBJECT before SECONDS";
  } else if (kind == "jti") {
    data_->ids.push_back(data_->keep(name));
  } else {
    data_->subjects.push_back({data_->keep(name), EpochSeconds{std::chrono::seconds{seconds}}});
  }
}

std::optional<Revocations> RevocationReader::finish(std::string& complaint) {
  if (!rest_.empty() && complaint_.empty()) take_line(rest_);
  if (!complaint_.empty()) {
    complaint = complaint_;
    return std::nullopt;
  }
  using Data = Revocations::Data;
  std::sort(data_->ids.begin(), data_->ids.end(),
            [&](const Data::Name& a, const Data::Name& b) { return data_->of(a) < data_->of(b); });
  std::sort(data_->subjects.begin(), data_->subjects.end(),
            [&](const Data::Subject& a, const Data::Subject& b) {
              return data_->of(a.name) < data_->of(b.name);
            });
  Revocations revocations;
  revocations.data_ = std::move(data_);
  return revocations;
}

std::optional<Revocations> Revocations::parse(std::string_view text, std::string& complaint) {
  RevocationReader reader;
  reader.take(text);
  return reader.finish(complaint);
}

size_t Revocations::size() const {
  return data_ == nullptr ? 0 : data_->ids.size() + data_->subjects.size();
}

bool Revocations::is_revoked(std::string_view id, std::string_view subject,
                             std::optional<EpochSeconds> issued_at) const {
  if (data_ == nullptr) return false;
  const Data& data = *data_;
  if (!id.empty()) {
    const auto found =
        std::lower_bound(data.ids.begin(), data.ids.end(), id,
                         [&](const Data::Name& a, std::string_view b) { return data.of(a) < b; });
    if (found != data.ids.end() && data.of(*found) == id) return true;
  }
  if (subject.empty()) return false;
  auto found = std::lower_bound(
      data.subjects.begin(), data.subjects.end(), subject,
      [&](const Data::Subject& a, std::string_view b) { return data.of(a.name) < b; });
  for (; found != data.subjects.end() && data.of(found->name) == subject; ++found) {
    if (!issued_at || *issued_at < found->before) return true;
  }
  return false;
}

}  // namespace sluice::auth
