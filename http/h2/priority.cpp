// Reads the priority of RFC 9218.
#include "http/h2/priority.h"

#include "http/field.h"

namespace sluice::http::h2 {

// Of a dictionary of RFC 8941 the two members that are known: u=0 to u=7, and i, i=?1 or i=?0.
Priority read_priority(std::string_view value) {
  Priority priority{.incremental = false};
  bool broken = false;
  for_each_option(value, [&](std::string_view member) {
    const std::string_view item = member.substr(0, member.find(';'));
    if (item.size() == 3 && item.starts_with("u=") && item[2] >= '0' && item[2] <= '7') {
      priority.urgency = static_cast<uint8_t>(item[2] - '0');
    } else if (item == "i" || item == "i=?1") {
      priority.incremental = true;
    } else if (item == "i=?0") {
      priority.incremental = false;
    } else if (item.empty() || item.starts_with("u=") || item.starts_with("i=")) {
      broken = true;
    }
  });
  return broken ? Priority{} : priority;
}

}  // namespace sluice::http::h2
