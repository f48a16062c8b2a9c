// Writes the Prometheus text format 0.0.4 into memory of fixed size. A family is announced once,
// then its samples follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "metrics/histogram.h"

namespace sluice::metrics {

enum class Kind : uint8_t { counter, gauge, histogram };

struct Label {
  std::string_view name;
  std::string_view value;
};

class Exposition {
 public:
  explicit Exposition(std::span<char> memory) : memory_(memory) {}

  void family(std::string_view name, Kind kind, std::string_view help);
  // A sample of the last family; `suffix` is appended to its name.
  void sample(std::initializer_list<Label> labels, uint64_t value, std::string_view suffix = {});
  void sample_seconds(std::initializer_list<Label> labels, uint64_t nanoseconds,
                      std::string_view suffix = {});
  // The sum of several cores' histograms, as one.
  void histogram(std::initializer_list<Label> labels, std::span<const Histogram* const> parts);

  // Nothing is ever cut in the middle: a text that did not fit is not a text.
  [[nodiscard]] bool overflowed() const { return overflowed_; }
  [[nodiscard]] std::string_view text() const { return {memory_.data(), size_}; }

 private:
  void put(std::string_view text);
  void put_number(uint64_t value);
  void put_seconds(uint64_t nanoseconds);
  void put_name(std::initializer_list<Label> labels, std::string_view suffix,
                std::string_view bound);
  void put_label(char before, const Label& label);

  std::span<char> memory_;
  size_t size_ = 0;
  bool overflowed_ = false;
  std::string_view name_;
};

}  // namespace sluice::metrics
