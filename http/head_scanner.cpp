// Scans for the end of a head and for bytes that no head may hold.
#include "http/head_scanner.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>

#include "core/limits.h"
#include "http/token.h"

namespace sluice::http {

namespace limits = core::limits;

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// The first control byte at or after `from`, or the end.
size_t find_control(std::string_view bytes, size_t from) {
#ifdef __SSE2__
  // min(byte, 0x1f) == byte  <=>  byte <= 0x1f
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i del = _mm_set1_epi8(0x7f);
  const auto hits_in = [&](size_t at) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
    return _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block),
                        _mm_cmpeq_epi8(block, del));
  };
  for (; from + 32 <= bytes.size(); from += 32) {
    const auto low = static_cast<unsigned>(_mm_movemask_epi8(hits_in(from)));
    const auto high = static_cast<unsigned>(_mm_movemask_epi8(hits_in(from + 16)));
    if (const unsigned mask = low | high << 16; mask != 0)
      return from + static_cast<size_t>(std::countr_zero(mask));
  }
  for (; from + 16 <= bytes.size(); from += 16) {
    if (const int mask = _mm_movemask_epi8(hits_in(from)); mask != 0) {
      return from + static_cast<size_t>(std::countr_zero(static_cast<unsigned>(mask)));
    }
  }
#endif
  while (from < bytes.size() && !is_control(bytes[from])) ++from;
  return from;
}

Rule check_version(std::string_view version) {
  if (version == "HTTP/1.1" || version == "HTTP/1.0") return Rule::none;
  const bool well_formed = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                           version[5] >= '0' && version[5] <= '9' && version[6] == '.' &&
                           version[7] >= '0' && version[7] <= '9';
  return well_formed ? Rule::version : Rule::request_line;
}

}  // namespace

Rule check_request_line(std::string_view line) {
  const auto first = line.find(' ');
  if (first == std::string_view::npos || first == 0 || !is_token(line.substr(0, first)))
    return Rule::request_line;
  const auto second = line.find(' ', first + 1);
  // HTTP/0.9 had no version; it is not served (RFC 9112 appendix C.1).
  if (second == std::string_view::npos) return Rule::version;
  if (second == first + 1) return Rule::request_line;
  return check_version(line.substr(second + 1));
}

Rule check_status_line(std::string_view line) {
  if (line.size() < 12 || (line.substr(0, 9) != "HTTP/1.1 " && line.substr(0, 9) != "HTTP/1.0 "))
    return Rule::status_line;
  for (size_t i = 9; i < 12; ++i) {
    if (line[i] < '0' || line[i] > '9') return Rule::status_line;
  }
  if (line[9] < '1' || line[9] > '5') return Rule::status_line;
  // The space before an empty reason phrase is often left out (RFC 9112 4 wants it); nothing hangs
  // on it.
  return line.size() == 12 || line[12] == ' ' ? Rule::none : Rule::status_line;
}

HeadScanner::Outcome HeadScanner::scan(std::string_view bytes) {
  constexpr auto broken = [](Rule rule) {
    return Outcome{.state = Outcome::State::broken, .rule = rule};
  };
  while (true) {
    position_ = static_cast<uint32_t>(find_control(bytes, position_));
    if (position_ >= bytes.size()) return unfinished(bytes);
    switch (bytes[position_]) {
      case '\t': ++position_; break;
      case '\r': {
        if (position_ + 1 >= bytes.size()) return unfinished(bytes);
        if (bytes[position_ + 1] != '\n') return broken(Rule::bare_cr);
        const Outcome outcome = end_of_line(bytes, position_);
        if (outcome.state != Outcome::State::incomplete) return outcome;
        break;
      }
      case '\n': return broken(Rule::bare_lf);
      default: return broken(Rule::control_byte);
    }
  }
}

// The line [line_begin_, at) is complete; `at` is its CR.
HeadScanner::Outcome HeadScanner::end_of_line(std::string_view bytes, uint32_t at) {
  constexpr auto broken = [](Rule rule) {
    return Outcome{.state = Outcome::State::broken, .rule = rule};
  };
  const std::string_view line = bytes.substr(line_begin_, at - line_begin_);
  position_ = at + 2;
  line_begin_ = position_;
  if (!start_line_seen_) {
    if (line.empty()) {
      if (begin_ != 0 || kind_ == HeadKind::response) return broken(Rule::leading_bytes);
      begin_ = position_;
      return {.state = Outcome::State::incomplete};
    }
    start_line_seen_ = true;
    const Rule rule =
        kind_ == HeadKind::request ? check_request_line(line) : check_status_line(line);
    if (rule != Rule::none) return broken(rule);
    return {.state = Outcome::State::incomplete};
  }
  if (line.empty()) {
    if (position_ - begin_ > limits::head_bytes_max) return broken(Rule::head_too_large);
    return {.state = Outcome::State::complete, .begin = begin_, .end = position_};
  }
  if (line.front() == ' ' || line.front() == '\t') return broken(Rule::obs_fold);
  return {.state = Outcome::State::incomplete};
}

HeadScanner::Outcome HeadScanner::unfinished(std::string_view bytes) const {
  const size_t size = bytes.size() - begin_;
  // A method and a version take less than 64 bytes; what is longer can only be the target.
  if (kind_ == HeadKind::request && !start_line_seen_ && size > limits::target_bytes_max + 64) {
    return {.state = Outcome::State::broken, .rule = Rule::target_too_long};
  }
  if (size >= limits::head_bytes_max)
    return {.state = Outcome::State::broken, .rule = Rule::head_too_large};
  return {.state = Outcome::State::incomplete};
}

}  // namespace sluice::http
