// The names that logs and metrics show, under numbers that stay: counters outlive the configuration
// whose routes and limits they count, and so do tunnels. A name keeps its number as long as the
// process lives; what there is no number left for is shown as "-".
//
// The control thread adds; any thread reads a number that came to it through a message or a
// counter.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace sluice::proxy {

class NameTable {
 public:
  static constexpr uint16_t none = UINT16_MAX;
  explicit NameTable(size_t capacity)
      : capacity_(capacity),
        names_(std::make_unique<std::atomic<const std::string*>[]>(capacity)) {}

  // none if there is no room left.
  uint16_t number_of(const std::string& name) {
    const auto known = numbers_.find(name);
    if (known != numbers_.end()) return known->second;
    const size_t number = numbers_.size();
    if (number == capacity_) return none;
    const auto added = numbers_.emplace(name, static_cast<uint16_t>(number))
                           .first;  // a map's keys stay where they are
    names_[number].store(&added->first, std::memory_order_release);
    count_.store(number + 1, std::memory_order_release);
    return added->second;
  }
  [[nodiscard]] std::string_view name(uint16_t number) const {
    if (number >= capacity_) return "-";
    const std::string* name = names_[number].load(std::memory_order_acquire);
    return name == nullptr ? std::string_view{"-"} : std::string_view{*name};
  }
  [[nodiscard]] size_t count() const { return count_.load(std::memory_order_acquire); }
  [[nodiscard]] size_t room() const { return capacity_ - count(); }

 private:
  size_t capacity_;
  std::unique_ptr<std::atomic<const std::string*>[]> names_;
  std::map<std::string, uint16_t> numbers_;
  std::atomic<size_t> count_{0};
};

// Limits are known by name and by what they count: `rate` and `concurrent` of one name are two.
class LimitTable {
 public:
  uint16_t number_of(const std::string& name, std::string_view counts) {
    return table_.number_of(prefix + name + '\0' + std::string{counts});
  }
  [[nodiscard]] std::string_view reason(uint16_t number) const {
    return part(number, 0);
  }  // "limit.NAME"
  [[nodiscard]] std::string_view name(uint16_t number) const {
    return part(number, 0).substr(prefix.size());
  }
  [[nodiscard]] std::string_view counts(uint16_t number) const { return part(number, 1); }
  [[nodiscard]] size_t count() const { return table_.count(); }

 private:
  [[nodiscard]] std::string_view part(uint16_t number, unsigned which) const {
    const std::string_view whole = table_.name(number);
    const auto end = whole.find('\0');
    if (end == std::string_view::npos) return "limit.-";
    return which == 0 ? whole.substr(0, end) : whole.substr(end + 1);
  }
  static inline const std::string prefix = "limit.";
  NameTable table_{config::limits_max};
};

struct Labels {
  NameTable routes{UINT16_MAX};
  LimitTable limits;
  NameTable upstreams{4096};
  NameTable endpoints{UINT16_MAX};
};

}  // namespace sluice::proxy
