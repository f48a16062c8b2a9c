// Writes families and samples, and stops where the memory ends.
#include "metrics/exposition.h"

#include <array>
#include <charconv>
#include <cstring>

#include "core/assert.h"

namespace sluice::metrics {

namespace {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::counter: return "counter";
    case Kind::gauge: return "gauge";
    case Kind::histogram: return "histogram";
  }
  SLUICE_UNREACHABLE();
}

}  // namespace

void Exposition::put(std::string_view text) {
  if (overflowed_ || text.size() > memory_.size() - size_) {
    overflowed_ = true;
    return;
  }
  if (text.empty()) return;  // memcpy takes no null pointer, whatever the size
  std::memcpy(memory_.data() + size_, text.data(), text.size());
  size_ += text.size();
}

void Exposition::put_number(uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  put({digits.data(), static_cast<size_t>(end - digits.data())});
}

// Exact decimal seconds, without trailing zeros.
void Exposition::put_seconds(uint64_t nanoseconds) {
  put_number(nanoseconds / 1'000'000'000);
  uint64_t rest = nanoseconds % 1'000'000'000;
  if (rest == 0) return;
  std::array<char, 10> digits{'.'};
  size_t used = 1;
  for (uint64_t unit = 100'000'000; rest > 0; unit /= 10) {
    digits[used++] = static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  put({digits.data(), used});
}

void Exposition::family(std::string_view name, Kind kind, std::string_view help) {
  name_ = name;
  put("# HELP ");
  put(name);
  put(" ");
  put(help);
  put("\n# TYPE ");
  put(name);
  put(" ");
  put(to_string(kind));
  put("\n");
}

void Exposition::put_label(char before, const Label& label) {
  put({&before, 1});
  put(label.name);
  put("=\"");
  for (const char c : label.value) {
    if (c == '\\')
      put("\\\\");
    else if (c == '"')
      put("\\\"");
    else if (c == '\n')
      put("\\n");
    else
      put({&c, 1});
  }
  put("\"");
}

void Exposition::put_name(std::initializer_list<Label> labels, std::string_view suffix,
                          std::string_view bound) {
  put(name_);
  put(suffix);
  char before = '{';
  for (const Label& label : labels) {
    put_label(before, label);
    before = ',';
  }
  if (!bound.empty()) {
    put_label(before, {"le", bound});
    before = ',';
  }
  put(before == ',' ? "} " : " ");
}

void Exposition::sample(std::initializer_list<Label> labels, uint64_t value,
                        std::string_view suffix) {
  put_name(labels, suffix, {});
  put_number(value);
  put("\n");
}

void Exposition::sample_seconds(std::initializer_list<Label> labels, uint64_t nanoseconds,
                                std::string_view suffix) {
  put_name(labels, suffix, {});
  put_seconds(nanoseconds);
  put("\n");
}

void Exposition::histogram(std::initializer_list<Label> labels,
                           std::span<const Histogram* const> parts) {
  uint64_t cumulative = 0;
  uint64_t sum = 0;
  for (const Histogram* part : parts) sum += part->sum_ns();
  for (size_t bucket = 0; bucket < Histogram::buckets; ++bucket) {
    for (const Histogram* part : parts) cumulative += part->bucket(bucket);
    std::array<char, 32> text;
    Exposition bound{text};
    if (bucket < Histogram::bounds_ns.size())
      bound.put_seconds(static_cast<uint64_t>(Histogram::bounds_ns[bucket]));
    else
      bound.put("+Inf");
    put_name(labels, "_bucket", bound.text());
    put_number(cumulative);
    put("\n");
  }
  sample_seconds(labels, sum, "_sum");
  sample(labels, cumulative, "_count");
}

}  // namespace sluice::metrics
