// Removes dot segments, decodes and merges, and finds what endpoints would read differently.
#include "http/path.h"

#include <array>
#include <cstring>

#include "http/message.h"
#include "http/percent.h"

namespace sluice::http {

namespace {

enum : unsigned char { allowed = 1, unreserved = 2, segment_char = 4, plain = 8 };

constexpr std::array<unsigned char, 256> classes = [] {
  std::array<unsigned char, 256> table{};
  for (unsigned c = 0x21; c < 0x7f; ++c) table[c] = allowed;
  // Servers that take a backslash for a slash would see other segments than we do.
  for (const char c : std::string_view{"#<>\\`?"}) table[static_cast<unsigned char>(c)] = 0;
  for (unsigned char c = 'a'; c <= 'z'; ++c)
    table[c] = table[c - 32U] = allowed | unreserved | segment_char | plain;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = allowed | unreserved | segment_char | plain;
  for (const char c : std::string_view{"-._~"})
    table[static_cast<unsigned char>(c)] = allowed | unreserved | segment_char | plain;
  for (const char c : std::string_view{"!$&'()*+,=:@"})
    table[static_cast<unsigned char>(c)] = allowed | segment_char | plain;
  table[';'] = allowed | segment_char;
  table['/'] = allowed | plain;
  return table;
}();

bool has(char c, unsigned char wanted) {
  return (classes[static_cast<unsigned char>(c)] & wanted) != 0;
}

// The usual case, and nothing is written then.
bool is_plain_path(std::string_view path) {
  char before = 0;
  for (const char c : path) {
    if (!has(c, plain) || (before == '/' && (c == '.' || c == '/'))) return false;
    before = c;
  }
  return true;
}

enum class Segment : uint8_t { name, dot, dot_dot, disguised_dots };

// "..;x" is ".." for those who cut parameters off.
Segment kind_of(std::string_view text) {
  if (text.empty() || text.front() != '.') return Segment::name;
  const size_t dots = text.starts_with("..") ? 2 : 1;
  if (text.size() == dots) return dots == 1 ? Segment::dot : Segment::dot_dot;
  const std::string_view rest = text.substr(dots);
  return rest.front() == ';' || rest.starts_with("%3B") ? Segment::disguised_dots : Segment::name;
}

// Removes the last segment of [begin, out), which ends in '/', and the slashes behind it; nullptr
// if there is none.
char* drop_segment(char* begin, char* out) {
  while (out > begin + 1 && out[-1] == '/') --out;
  if (out == begin + 1) return nullptr;
  while (out > begin + 1 && out[-1] != '/') --out;
  return out;
}

// UTF-8 has one form of each character; decoders that take longer ones see '/' or '.' in them.
bool is_overlong(int value, const char* rest, const char* end) {
  if (value != 0xc0 && value != 0xc1 && value != 0xe0 && value != 0xf0) return false;
  if (rest == end || *rest != '%') return false;
  const int next = decode_percent(rest + 1, end);
  const int least = value == 0xe0 ? 0xa0 : value == 0xf0 ? 0x90 : 0xc0;
  return next >= 0x80 && next < least;
}

bool is_encoded_separator(std::string_view text) {
  return text.starts_with("%2F") || text.starts_with("%5C");
}

// Whether some of what %2F and %5C separate is a dot segment: no name needs that.
bool has_encoded_dots(std::string_view path) {
  size_t begin = 1;
  for (size_t at = 1; at <= path.size(); ++at) {
    const bool is_encoded = at < path.size() && is_encoded_separator(path.substr(at));
    if (at < path.size() && path[at] != '/' && !is_encoded) continue;
    if (kind_of(path.substr(begin, at - begin)) != Segment::name) return true;
    if (is_encoded) at += 2;
    begin = at + 1;
  }
  return false;
}

// One byte of a path in normal form, or what is encoded there.
struct Unit {
  unsigned char value;
  size_t size;
};
Unit unit_at(std::string_view path, size_t at) {
  if (path[at] != '%') return {static_cast<unsigned char>(path[at]), 1};
  const int value = decode_percent(path.data() + at + 1, path.data() + path.size());
  return {static_cast<unsigned char>(value), 3};
}

size_t merge_runs(char* begin, size_t size) {
  size_t out = 0;
  for (size_t in = 0; in < size; ++in) {
    if (begin[in] == '/' && out > 0 && begin[out - 1] == '/') continue;
    begin[out++] = begin[in];
  }
  return out;
}

}  // namespace

PathOutcome normalize_path(char* begin, size_t size) {
  if (is_plain_path({begin, size})) return {.size = size};
  PathOutcome outcome{.form = PathForm::special};
  const char* in = begin + 1;  // behind the first '/'
  const char* end = begin + size;
  char* out = begin + 1;
  char* segment = out;  // where the current segment starts in the output
  const auto close_segment = [&]() -> Rule {
    switch (kind_of({segment, static_cast<size_t>(out - segment)})) {
      case Segment::name:
        if (in < end) *out++ = '/';
        break;
      case Segment::dot: out = segment; break;  // "/a/." is "/a/"
      case Segment::dot_dot:
        out = drop_segment(begin, segment);
        if (out == nullptr) return Rule::dot_segments;
        break;
      case Segment::disguised_dots: return Rule::dot_segments;
    }
    segment = out;
    return Rule::none;
  };
  while (in < end) {
    const char c = *in;
    if (c == '/') {
      if (const Rule rule = close_segment(); rule != Rule::none) return {.rule = rule};
      ++in;
    } else if (c == '%') {
      const int value = decode_percent(in + 1, end);
      if (value <= 0 || is_overlong(value, in + 3, end)) return {.rule = Rule::target_encoding};
      if (has(static_cast<char>(value), unreserved)) {
        *out++ = static_cast<char>(value);
      } else {
        out = put_percent(out, static_cast<unsigned char>(value));
        outcome.has_encoded_separator |= value == '/' || value == '\\';
      }
      in += 3;
    } else {
      if (!has(c, allowed)) return {.rule = Rule::target};
      *out++ = c;
      ++in;
    }
  }
  if (const Rule rule = close_segment(); rule != Rule::none) return {.rule = rule};
  outcome.size = static_cast<size_t>(out - begin);
  if (outcome.has_encoded_separator && has_encoded_dots({begin, outcome.size}))
    return {.rule = Rule::encoded_separator};
  return outcome;
}

std::string_view matched_path(std::string_view path, std::span<char> memory) {
  char* out = memory.data();
  for (size_t at = 0; at < path.size();) {
    const Unit unit = unit_at(path, at);
    const char c = static_cast<char>(unit.value);
    const bool is_slash = unit.size == 1 && c == '/';
    at += unit.size;
    if (is_slash && out > memory.data() && out[-1] == '/') continue;
    if (is_slash || has(c, segment_char))
      *out++ = c;
    else
      out = put_percent(out, unit.value);
  }
  return {memory.data(), static_cast<size_t>(out - memory.data())};
}

std::string_view cut_parameters(std::string_view path, std::span<char> memory) {
  size_t size = 0;
  for (size_t at = 0; at < path.size(); ++at) {
    if (path[at] == ';') at = path.find('/', at);
    if (at >= path.size()) break;
    memory[size++] = path[at];
  }
  return {memory.data(), merge_runs(memory.data(), size)};
}

void merge_slashes(RequestHead& head, char* bytes) {
  char* begin = bytes + (head.path.data() - bytes);
  const size_t size = merge_runs(begin, head.path.size());
  const size_t tail = head.target.size() - head.path.size();  // with the '?'
  if (size == head.path.size()) return;
  std::memmove(begin + size, begin + head.path.size(), tail);
  head.path = {begin, size};
  head.target = {begin, size + tail};
  if (tail > 0) head.query = {begin + size + 1, tail - 1};
}

std::string_view drop_segments_of(std::string_view prefix, std::string_view path) {
  size_t count = 0;
  for (size_t at = 0; at + 1 < prefix.size(); ++at)
    count += static_cast<size_t>(prefix[at] == '/' && prefix[at + 1] != '/');
  size_t at = 0;
  for (; count > 0; --count) {
    while (at < path.size() && path[at] == '/') ++at;
    while (at < path.size() && path[at] != '/') ++at;
  }
  return path.substr(at);
}

}  // namespace sluice::http
