// When key sets behind URLs are fetched, and what stays in use when they are not to be had: in
// made-up time, over a made-up network.
#include <gtest/gtest.h>

#include <set>

#include "auth/jwks.h"
#include "auth/mint.h"
#include "gateway/key_keeper.h"

namespace sluice::gateway {
namespace {

using std::chrono::seconds;

std::string key_set(const std::string& kid) {
  auto made = auth::generate_signing_key(auth::Algorithm::eddsa, kid);
  const auth::SigningKey& key = std::get<auth::SigningKey>(made);
  return "{\"keys\":[" + auth::to_jwk(key.algorithm, key.pkey.get(), kid) + "]}";
}

class KeeperTest : public ::testing::Test {
 protected:
  KeeperTest() {
    config::AuthConfig entry;
    entry.provider.algorithms = {auth::Algorithm::eddsa};
    entry.key_sources.jwks_url = "https://id.example/keys";
    entry.key_sources.refresh = seconds{300};
    config_.auth.push_back(entry);
  }
  KeyKeeper& keeper(uint64_t seed = 1) {
    if (keeper_ == nullptr) {
      keeper_ = std::make_unique<KeyKeeper>(
          config_, KeyKeeper::World{.now = [this] { return now_; },
                                    .fetch =
                                        [this](const std::string&, const std::string&) {
                                          ++fetched_;
                                          return answer_;
                                        },
                                    .seed = seed});
    }
    return *keeper_;
  }
  void answer(const std::string& body, std::optional<core::Duration> max_age = std::nullopt) {
    answer_ = {.body = body, .max_age = max_age};
  }
  // Looks once a second for so long; how many seconds passed until the next fetch, or nothing.
  std::optional<int64_t> next_fetch_within(seconds most) {
    const unsigned before = fetched_;
    for (int64_t second = 1; second <= most.count(); ++second) {
      now_ += seconds{1};
      static_cast<void>(keeper().look(KeyKeeper::Reason::time));
      if (fetched_ > before) return second;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string kid() {
    return keeper().snapshot().keys[0].empty() ? "" : keeper().snapshot().keys[0][0]->kid;
  }

  config::Config config_;
  KeyKeeper::Clock::time_point now_{seconds{1'000'000}};
  Fetched answer_;
  unsigned fetched_ = 0;
  std::unique_ptr<KeyKeeper> keeper_;
};

TEST_F(KeeperTest, set_is_fetched_again_some_time_before_it_is_stale) {
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(keeper().load().empty());
  for (int round = 0; round < 5; ++round) {
    const auto passed = next_fetch_within(seconds{1000});
    ASSERT_TRUE(passed);
    EXPECT_GE(*passed, 750);
    EXPECT_LE(*passed, 950);
  }
}

TEST_F(KeeperTest, configured_interval_holds_where_the_answer_says_nothing_and_is_jittered) {
  answer(key_set("a"));
  std::set<int64_t> intervals;
  for (uint64_t seed = 1; seed < 8; ++seed) {
    keeper_.reset();
    ASSERT_TRUE(keeper(seed).load().empty());
    const auto passed = next_fetch_within(seconds{300});
    ASSERT_TRUE(passed);
    intervals.insert(*passed);
  }
  EXPECT_GT(intervals.size(), 3U) << "all gateways would ask at once";
}

TEST_F(KeeperTest, absurd_ages_are_bounded) {
  answer(key_set("a"), seconds{0});
  ASSERT_TRUE(keeper().load().empty());
  EXPECT_GE(next_fetch_within(seconds{20}).value_or(0), 7) << "not at every look";
}

TEST_F(KeeperTest, what_was_good_stays_in_use_while_nobody_answers_or_nonsense_comes) {
  answer(key_set("a"), seconds{100});
  ASSERT_TRUE(keeper().load().empty());
  const uint64_t generation = keeper().snapshot().generation;
  answer_ = {.complaint = "Could not resolve host"};
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  EXPECT_EQ(next_fetch_within(seconds{10}), 5) << "tried again soon";
  answer("<html>");
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  EXPECT_EQ(keeper().snapshot().generation, generation);
  EXPECT_EQ(kid(), "a");
  std::string all;
  for (const std::string& notice : keeper().take_notices()) all += notice + "\n";
  EXPECT_NE(all.find("https://id.example/keys: Could not resolve host"), std::string::npos);
  EXPECT_NE(all.find("looks like a web page; what was good before stays in use"),
            std::string::npos);
  EXPECT_GE(keeper().counters().failures.get(), 3U);
  answer(key_set("b"));
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  EXPECT_EQ(kid(), "b");
}

TEST_F(KeeperTest, unknown_kid_fetches_early_once_in_a_while) {
  answer(key_set("a"), seconds{3600});
  ASSERT_TRUE(keeper().load().empty());
  answer(key_set("b"), seconds{3600});
  EXPECT_FALSE(keeper().look(KeyKeeper::Reason::kid)) << "just fetched";
  EXPECT_EQ(fetched_, 1U);
  now_ += seconds{10};
  EXPECT_TRUE(keeper().look(KeyKeeper::Reason::kid));
  EXPECT_EQ(kid(), "b");
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(keeper().look(KeyKeeper::Reason::kid));
  EXPECT_EQ(fetched_, 2U) << "a flood of unknown names is no flood of fetches";
}

TEST_F(KeeperTest, same_answer_is_no_news) {
  answer(key_set("a"), seconds{100});
  ASSERT_TRUE(keeper().load().empty());
  const uint64_t generation = keeper().snapshot().generation;
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  EXPECT_EQ(keeper().snapshot().generation, generation) << "no core need forget its tokens";
}

TEST_F(KeeperTest, start_without_an_answer_has_no_keys_and_gets_them_later) {
  answer_ = {.complaint = "Connection refused"};
  ASSERT_TRUE(keeper().load().empty()) << "it is no reason not to start";
  EXPECT_EQ(kid(), "");
  answer(key_set("a"));
  EXPECT_EQ(next_fetch_within(seconds{10}), 5);
  EXPECT_EQ(kid(), "a");
}

TEST_F(KeeperTest, start_with_nonsense_is_refused) {
  answer("{}");
  const auto complaints = keeper().load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0],
            "https://id.example/keys: this is no key set: there is no array \"keys\" (RFC 7517 5)");
}

}  // namespace
}  // namespace sluice::gateway
