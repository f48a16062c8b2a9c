#include <gtest/gtest.h>

#include "core/random.h"
#include "limiter/owner.h"
#include "limiter/shard.h"

namespace sluice::limiter {
namespace {

using core::Duration;
using core::Instant;

// The formula of the semantics, as it is written, in exact rational arithmetic: excess is a fraction of `denominator`.
class Reference {
 public:
  explicit Reference(const Policy& policy) : policy_(policy) {}
  Decision decide(Instant now) {
    // All in units of 1/period_ns of a request.
    using Exact = __int128;
    const Exact one = policy_.rate.period_ns;
    Exact excess = 0;
    if (seen_) {
      excess = excess_ - Exact{policy_.rate.requests} * (now - last_).count() + one;
      if (excess < 0) excess = 0;
    }
    if (excess > Exact{policy_.burst} * one) return {Decision::Kind::refuse, {}};
    Duration wait{0};
    if (excess > Exact{policy_.delay} * one) {
      const Exact above = excess - Exact{policy_.delay} * one;
      wait = Duration{static_cast<int64_t>((above + policy_.rate.requests - 1) / policy_.rate.requests)};
    }
    if (wait > policy_.hold_max) return {Decision::Kind::refuse, {}};
    seen_ = true;
    excess_ = excess;
    last_ = now;
    return {wait > Duration{0} ? Decision::Kind::hold : Decision::Kind::pass, wait};
  }

 private:
  Policy policy_;
  bool seen_ = false;
  __int128 excess_ = 0;
  Instant last_{};
};

TEST(Bucket, agrees_with_the_formula_in_rational_arithmetic) {
  core::Random random{42};
  uint64_t decisions = 0;
  for (int round = 0; round < 4000; ++round) {
    const uint64_t units[] = {1'000'000'000, 60'000'000'000, 3'600'000'000'000, 86'400'000'000'000};
    Policy policy{.rate = {1 + random.below(random.chance(50) ? 10 : 10'000'000), units[random.below(4)]}};
    policy.burst = static_cast<uint32_t>(random.below(random.chance(70) ? 20 : 1'000'001));
    policy.delay = static_cast<uint32_t>(random.below(policy.burst + 1));
    if (check_policy(policy)) continue;
    Shard shard{16};
    Reference reference{policy};
    Instant now{std::chrono::seconds{1}};
    const uint64_t step = 2 * policy.rate.period_ns / policy.rate.requests + 2;
    for (int i = 0; i < 500; ++i, ++decisions) {
      now += Duration{static_cast<int64_t>(random.chance(5) ? random.below(50 * step) : random.below(step))};
      const Decision expected = reference.decide(now);
      const Decision decided = shard.decide({7}, policy, now);
      ASSERT_EQ(decided.kind, expected.kind);
      if (decided.kind == Decision::Kind::hold) {
        ASSERT_EQ(decided.wait, expected.wait);
      }
    }
  }
  EXPECT_GT(decisions, 1'000'000U);
}

TEST(Bucket, key_that_always_asks_gets_burst_and_one_and_the_rate) {
  const Policy policy{.rate = {3, 1'000'000'000}, .burst = 5, .delay = 5};
  Shard shard{16};
  const Instant start{std::chrono::seconds{9}};
  uint64_t admitted = 0;
  Instant now = start;
  for (; now < start + std::chrono::seconds{100}; now += std::chrono::milliseconds{1}) {
    if (shard.decide({1}, policy, now).kind == Decision::Kind::pass) ++admitted;
  }
  EXPECT_EQ(admitted, 5 + 1 + static_cast<uint64_t>(99'999) * 3 / 1000);
}

TEST(Bucket, who_waits_as_long_as_told_is_admitted) {
  core::Random random{3};
  for (int round = 0; round < 2000; ++round) {
    Policy policy{.rate = {1 + random.below(1000), 1'000'000'000}, .burst = static_cast<uint32_t>(random.below(10))};
    policy.delay = policy.burst;
    Shard shard{16};
    Instant now{std::chrono::seconds{1}};
    for (int i = 0; i < 50; ++i) {
      const Decision decision = shard.decide({1}, policy, now);
      if (decision.kind != Decision::Kind::refuse) continue;
      EXPECT_EQ(shard.decide({1}, policy, now + decision.wait - Duration{1}).kind, Decision::Kind::refuse);
      now += decision.wait;
      EXPECT_NE(shard.decide({1}, policy, now).kind, Decision::Kind::refuse);
    }
  }
}

TEST(Bucket, time_that_runs_backwards_fills_nothing) {
  const Policy policy{.rate = {1, 1'000'000'000}, .burst = 0};
  Shard shard{16};
  EXPECT_EQ(shard.decide({1}, policy, Instant{std::chrono::seconds{10}}).kind, Decision::Kind::pass);
  EXPECT_EQ(shard.decide({1}, policy, Instant{std::chrono::seconds{5}}).kind, Decision::Kind::refuse);
  EXPECT_EQ(shard.decide({1}, policy, Instant{std::chrono::milliseconds{10'999}}).kind, Decision::Kind::refuse);
  EXPECT_EQ(shard.decide({1}, policy, Instant{std::chrono::seconds{11}}).kind, Decision::Kind::pass);
}

TEST(Shard, full_window_refuses_or_admits_and_forgets_nothing) {
  const Policy policy{.rate = {1, 1'000'000'000}, .burst = 0};
  Shard shard{Shard::window};
  const Instant now{std::chrono::seconds{1}};
  for (uint64_t key = 1; key <= Shard::window; ++key) EXPECT_EQ(shard.decide({key}, policy, now).kind, Decision::Kind::pass);
  EXPECT_EQ(shard.decide({100}, policy, now).kind, Decision::Kind::refuse);
  EXPECT_EQ(shard.counters().full_refused.get(), 1U);
  for (uint64_t key = 1; key <= Shard::window; ++key) EXPECT_EQ(shard.decide({key}, policy, now).kind, Decision::Kind::refuse) << key;
  // Drained buckets make room.
  EXPECT_EQ(shard.decide({100}, policy, now + std::chrono::seconds{1}).kind, Decision::Kind::pass);
  Shard lenient{Shard::window, OnFull::admit};
  for (uint64_t key = 1; key <= Shard::window + 5; ++key) EXPECT_EQ(lenient.decide({key}, policy, now).kind, Decision::Kind::pass);
  EXPECT_EQ(lenient.counters().full_admitted.get(), 5U);
}

TEST(Rate, texts_are_read_or_explained) {
  const auto rate = [](const char* text) { return parse_rate(text); };
  EXPECT_EQ(std::get<Rate>(rate("10/s")).period_ns, 100'000'000U);
  EXPECT_EQ(std::get<Rate>(rate("6000/min")).period_ns, 10'000'000U);
  EXPECT_EQ(std::get<Rate>(rate("3/s")).requests, 3U);
  EXPECT_EQ(std::get<Rate>(rate("1/day")).period_ns, 86'400'000'000'000U);
  EXPECT_EQ(std::get<Rate>(rate("10000000/s")).period_ns, 100U);
  for (const char* text : {"10", "10/", "/s", "0/s", "-1/s", "1.5/s", "10000001/s", "10/fortnight", ""}) {
    const auto parsed = rate(text);
    ASSERT_TRUE(std::holds_alternative<Complaint>(parsed)) << text;
    EXPECT_NE(std::get<Complaint>(parsed).text.find("write for example 10/s"), std::string::npos);
  }
  EXPECT_TRUE(check_policy({.rate = {1, 86'400'000'000'000}, .burst = 1'000'000})) << "a burst that drains for 2700 years";
  EXPECT_TRUE(check_policy({.burst = 3, .delay = 4}));
  EXPECT_FALSE(check_policy({.rate = {1, 86'400'000'000'000}, .burst = 36'000}));
}

TEST(Ownership, every_address_has_one_owner_and_all_cores_own_some) {
  const Ownership ownership{4, 99};
  std::array<int, 4> owned{};
  for (uint32_t address = 0; address < 10'000; ++address) {
    const core::SocketAddress::Prefix prefix{0x7f000001 + address, false};
    ++owned[ownership.owner_of(prefix)];
    EXPECT_EQ(ownership.owner_of(prefix), ownership.owner_of(prefix));
    EXPECT_NE(ownership.key_of(prefix).hash, ownership.key_of({prefix.bits, true}).hash);
  }
  for (const int count : owned) EXPECT_NEAR(count, 2500, 300);
}

}  // namespace
}  // namespace sluice::limiter
