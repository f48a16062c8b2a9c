// Formats one line, escaping what clients can choose.
#include "metrics/access_log.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>
#include <charconv>
#include <cstring>
#include <ctime>

#include "core/assert.h"

namespace sluice::metrics {

namespace {

constexpr size_t text_bytes_max = 160;
constexpr size_t name_bytes_max = 300;

// Every byte of what a client chose may become six; the rest of the line is our own names and
// numbers.
static_assert((path_bytes_logged_max + 2 * text_bytes_max) * 6 + 8 * 300 + 790 < line_bytes_max);

template <typename T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Whether one of sixteen bytes is none that a JSON string takes as it is: a control, a quote, a
// backslash, DEL, or above ASCII.
[[gnu::always_inline]] inline bool needs_escape(uint64_t first, uint64_t second) {
#if defined(__SSE2__)
  const __m128i all = _mm_set_epi64x(static_cast<int64_t>(second), static_cast<int64_t>(first));
  const auto equal = [&](char c) { return _mm_cmpeq_epi8(all, _mm_set1_epi8(c)); };
  const __m128i below = _mm_cmplt_epi8(all, _mm_set1_epi8(0x20));  // signed: above ASCII too
  return _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(below, equal('"')),
                                        _mm_or_si128(equal('\\'), equal(0x7f)))) != 0;
#else
  constexpr uint64_t ones = 0x0101010101010101;
  const auto below = [](uint64_t bytes, uint64_t bound) { return (bytes - ones * bound) & ~bytes; };
  const auto found = [&](uint64_t eight) {
    return eight | below(eight, 0x20) | below(eight ^ ones * '"', 1) |
           below(eight ^ ones * '\\', 1) | below(eight ^ ones * 0x7f, 1);
  };
  return ((found(first) | found(second)) & ones * 0x80) != 0;
#endif
}

// Whether a JSON string takes the text as it is. The last bytes are looked at with some of those
// before them: no loop goes byte by byte.
[[gnu::always_inline]] inline bool is_plain(std::string_view text) {
  const char* const begin = text.data();
  const size_t size = text.size();
  if (size >= 8) {
    for (size_t at = 0; at + 16 < size; at += 16) {
      if (needs_escape(load<uint64_t>(begin + at), load<uint64_t>(begin + at + 8))) return false;
    }
    const size_t last = size >= 16 ? size - 16 : 0;
    return !needs_escape(load<uint64_t>(begin + last), load<uint64_t>(begin + size - 8));
  }
  if (size == 0) return true;
  const auto byte = [&](size_t at) { return uint64_t{static_cast<unsigned char>(begin[at])}; };
  constexpr uint64_t blanks = 0x2020202020000000;
  const uint64_t word =
      size >= 4 ? uint64_t{load<uint32_t>(begin)} << 32 | load<uint32_t>(begin + size - 4)
                : blanks | byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
  return !needs_escape(word, word);
}

// A cursor over memory that is known to be large enough.
class Line {
 public:
  explicit Line(char* cursor) : cursor_(cursor) {}
  [[nodiscard]] char* cursor() const { return cursor_; }

  Line& raw(std::string_view text) {
    if (!text.empty()) std::memcpy(cursor_, text.data(), text.size());
    cursor_ += text.size();
    return *this;
  }
  Line& number(uint64_t value) {
    cursor_ = std::to_chars(cursor_, cursor_ + 20, value).ptr;
    return *this;
  }
  // Milliseconds with three decimals, rounded down.
  Line& milliseconds(core::Duration duration) {
    const auto microseconds =
        static_cast<uint64_t>(duration.count() > 0 ? duration.count() / 1000 : 0);
    number(microseconds / 1000);
    const uint64_t rest = microseconds % 1000;
    *cursor_++ = '.';
    *cursor_++ = static_cast<char>('0' + rest / 100);
    *cursor_++ = static_cast<char>('0' + rest / 10 % 10);
    *cursor_++ = static_cast<char>('0' + rest % 10);
    return *this;
  }
  // Text of our own making or of the configuration: ids, codes, names, addresses. It needs no
  // escaping, but if it did the line would still be JSON; what that makes too long is cut.
  [[gnu::always_inline]] Line& name(std::string_view value) {
    *cursor_++ = '"';
    if (value.size() <= name_bytes_max && is_plain(value)) [[likely]]
      raw(value);
    else
      escape_within(value, name_bytes_max);
    *cursor_++ = '"';
    return *this;
  }
  // Text as a JSON string. Bytes that are not ASCII are escaped as if they were Latin-1: what came
  // in stays readable and the line stays UTF-8 whatever was sent.
  Line& text(std::string_view value, size_t size_max = text_bytes_max) {
    *cursor_++ = '"';
    value = value.substr(0, size_max);
    if (is_plain(value)) [[likely]]
      raw(value);
    else
      escape_within(value, 6 * size_max);
    *cursor_++ = '"';
    return *this;
  }

 private:
  // Byte by byte; what would make more than `size_max` of it is cut.
  [[gnu::noinline]] void escape_within(std::string_view value, size_t size_max) {
    constexpr std::string_view digits = "0123456789abcdef";
    const char* const limit = cursor_ + size_max;
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      const bool stays = byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
      if (limit - cursor_ < (stays ? 1 : 6)) return;
      if (stays) {
        *cursor_++ = c;
      } else {
        raw("\\u00");
        *cursor_++ = digits[byte >> 4];
        *cursor_++ = digits[byte & 15];
      }
    }
  }

  char* cursor_;
};

}  // namespace

size_t LineFormatter::format(const AccessRecord& record, std::span<char> out) {
  SLUICE_ASSERT(out.size() >= line_bytes_max);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(record.finished_at.time_since_epoch())
          .count();
  if (const int64_t second = milliseconds / 1000; second != second_) {
    second_ = second;
    const time_t time = second;
    std::tm calendar{};
    ::gmtime_r(&time, &calendar);
    std::array<char, 32> text;
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &calendar);
    std::memcpy(second_text_, text.data(), sizeof second_text_);
  }
  const auto rest = static_cast<uint64_t>(milliseconds % 1000);
  const char decimals[] = {static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};

  Line line{out.data()};
  line.raw(R"({"ts":")")
      .raw({second_text_, sizeof second_text_})
      .raw({decimals, 3})
      .raw(R"(Z","request_id":)")
      .name(record.request_id);
  line.raw(R"(,"method":)")
      .name(record.method)
      .raw(R"(,"path":)")
      .text(record.path, path_bytes_logged_max);
  line.raw(R"(,"status":)")
      .number(record.status)
      .raw(R"(,"latency_ms":)")
      .milliseconds(record.latency);
  line.raw(R"(,"reason":)").name(record.reason);
  if (!record.would_refuse.empty()) line.raw(R"(,"would_refuse":)").name(record.would_refuse);
  line.raw(R"(,"route":)").name(record.route).raw(R"(,"endpoint":)").name(record.endpoint);
  line.raw(R"(,"client":)").name(record.client).raw(R"(,"principal":)").text(record.principal);
  if (!record.tls_version.empty()) {
    line.raw(R"(,"tls_version":)").name(record.tls_version);
    line.raw(R"(,"tls_cipher":)").name(record.tls_cipher);
    line.raw(R"(,"sni":)").text(record.server_name);
  }
  line.raw(R"(,"bytes_in":)")
      .number(record.bytes_in)
      .raw(R"(,"bytes_out":)")
      .number(record.bytes_out);
  if (!record.protocol.empty()) line.raw(R"(,"protocol":)").name(record.protocol);
  line.raw(R"(,"core":)").number(record.core).raw(R"(,"retries":)").number(record.retries);
  line.raw(R"(,"read_ms":)")
      .milliseconds(record.read)
      .raw(R"(,"limit_ms":)")
      .milliseconds(record.limit);
  line.raw(R"(,"connect_ms":)")
      .milliseconds(record.connect)
      .raw(R"(,"upstream_ms":)")
      .milliseconds(record.upstream);
  line.raw(R"(,"relay_ms":)").milliseconds(record.relay).raw("}\n");
  return static_cast<size_t>(line.cursor() - out.data());
}

}  // namespace sluice::metrics
