#include "metrics/access_log.h"

#include <array>
#include <charconv>
#include <cstring>
#include <ctime>

#include "core/assert.h"

namespace sluice::metrics {

namespace {

constexpr size_t text_bytes_max = 160;
constexpr size_t name_bytes_max = 300;

// Whether one of eight bytes is none that a JSON string takes as it is: a control, a quote, a
// backslash, DEL, or above ASCII.
bool needs_escape(uint64_t eight) {
  constexpr uint64_t ones = 0x0101010101010101;
  const auto below = [](uint64_t bytes, uint64_t bound) { return (bytes - ones * bound) & ~bytes; };
  return ((eight | below(eight, 0x20) | below(eight ^ ones * '"', 1) |
           below(eight ^ ones * '\\', 1) | below(eight ^ ones * 0x7f, 1)) &
          ones * 0x80) != 0;
}
// Every byte of what a client chose may become six; the rest of the line is our own names and
// numbers.
static_assert((path_bytes_logged_max + text_bytes_max) * 6 + 6 * 300 + 736 < line_bytes_max);

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
  Line& name(std::string_view value) {
    *cursor_++ = '"';
    const char* const limit = cursor_ + name_bytes_max;
    while (!value.empty() && cursor_ + 6 <= limit) {
      const size_t size = plain_bytes(value.substr(0, static_cast<size_t>(limit - cursor_)));
      raw(value.substr(0, size));
      value.remove_prefix(size);
      if (value.empty() || cursor_ + 6 > limit) break;
      escape(value.front());
      value.remove_prefix(1);
    }
    *cursor_++ = '"';
    return *this;
  }
  // Text as a JSON string. Bytes that are not ASCII are escaped as if they were Latin-1: what came
  // in stays readable and the line stays UTF-8 whatever was sent.
  Line& text(std::string_view value, size_t size_max = text_bytes_max) {
    *cursor_++ = '"';
    value = value.substr(0, size_max);
    while (!value.empty()) {
      const size_t size = plain_bytes(value);
      raw(value.substr(0, size));
      value.remove_prefix(size);
      if (value.empty()) break;
      escape(value.front());
      value.remove_prefix(1);
    }
    *cursor_++ = '"';
    return *this;
  }

 private:
  // How many bytes at the front need no escaping.
  static size_t plain_bytes(std::string_view value) {
    size_t size = 0;
    uint64_t eight = 0;
    for (; size + sizeof eight <= value.size(); size += sizeof eight) {
      std::memcpy(&eight, value.data() + size, sizeof eight);
      if (needs_escape(eight)) break;
    }
    for (; size < value.size(); ++size) {
      const auto byte = static_cast<unsigned char>(value[size]);
      if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') break;
    }
    return size;
  }
  void escape(char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    raw("\\u00");
    *cursor_++ = digits[byte >> 4];
    *cursor_++ = digits[byte & 15];
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
  line.raw(R"(,"bytes_in":)")
      .number(record.bytes_in)
      .raw(R"(,"bytes_out":)")
      .number(record.bytes_out);
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
