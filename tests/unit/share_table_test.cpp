// Shares of keys, against a map.
#include "proxy/share_table.h"

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"

namespace sluice::proxy {
namespace {

TEST(ShareTable, any_order_of_joining_and_leaving_keeps_every_key_findable) {
  core::Random random{7};
  for (int round = 0; round < 50; ++round) {
    const auto most = static_cast<uint32_t>(1 + random.below(60));
    ShareTable table{most};
    std::map<uint64_t, std::pair<Share*, uint32_t>> known;
    uint32_t members = 0;
    for (int step = 0; step < 3000; ++step) {
      // Few hashes, many of which have the same home.
      const uint64_t hash = 1 + random.below(20) * (random.chance(50) ? 1 : 256);
      if (members < most && random.chance(55)) {
        Share& share = table.join(hash);
        auto& [place, count] = known[hash];
        if (count++ > 0) {
          ASSERT_EQ(place, &share) << "a share stays where it is";
        }
        place = &share;
        ++members;
      } else if (const auto it = known.find(hash); it != known.end()) {
        table.leave(*it->second.first);
        --members;
        if (--it->second.second == 0) known.erase(it);
      }
      ASSERT_EQ(table.keys(), known.size());
      for (const auto& [key, entry] : known) ASSERT_EQ(table.members(key), entry.second);
      ASSERT_EQ(table.members(hash), known.contains(hash) ? known[hash].second : 0);
    }
  }
}

}  // namespace
}  // namespace sluice::proxy
