// Buckets against a reference, shards, owners and steering.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <set>
#include <utility>

#include "core/random.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "limiter/steering.h"
#include "proxy/limit_check.h"
#include "tests/journal_oracle.h"

namespace sluice::limiter {
namespace {

using core::Duration;
using core::Instant;

Limit rate_limit(const Policy& policy, Enforcement enforcement = Enforcement::enforce) {
  return {.enforcement = enforcement, .policy = policy};
}
Limit places(uint32_t concurrent) {
  return {.kind = Limit::Kind::concurrency, .concurrent = concurrent};
}

// A shard with one limit of one key, asked as most requests ask.
class Single {
 public:
  explicit Single(const Policy& policy, uint64_t capacity = 16, OnFull on_full = OnFull::refuse)
      : limit_(rate_limit(policy)), shard_(capacity, {&limit_, 1}, on_full) {}
  Verdict ask(uint64_t key, Instant now, HoldLimit hold = {}) {
    const Claim claim{.hash = key};
    return shard_.visit(Visit::decide, {&claim, 1}, hold, now);
  }
  Shard& shard() { return shard_; }

 private:
  Limit limit_;
  Shard shard_;
};

using Kind = Decision::Kind;

TEST(Bucket, agrees_with_the_formula_in_rational_arithmetic) {
  core::Random random{42};
  uint64_t decisions = 0;
  uint64_t held = 0;
  for (int round = 0; round < 4000; ++round) {
    const uint64_t units[] = {1'000'000'000, 60'000'000'000, 3'600'000'000'000, 86'400'000'000'000};
    Policy policy{
        .rate = {1 + random.below(random.chance(50) ? 10 : 10'000'000), units[random.below(4)]}};
    policy.burst = static_cast<uint32_t>(random.below(random.chance(70) ? 20 : 1'000'001));
    policy.delay = static_cast<uint32_t>(random.below(policy.burst + 1));
    policy.max_hold = Duration{static_cast<int64_t>(1 + random.below(20'000'000'000))};
    if (check_policy(policy)) continue;
    Single single{policy};
    tests::ReferenceBucket reference{policy};
    Instant now{std::chrono::seconds{1}};
    const uint64_t step = 2 * policy.rate.period_ns / policy.rate.requests + 2;
    for (int i = 0; i < 500; ++i, ++decisions) {
      now += Duration{
          static_cast<int64_t>(random.chance(5) ? random.below(50 * step) : random.below(step))};
      const HoldLimit hold =
          random.chance(10) ? no_hold
          : random.chance(20)
              ? HoldLimit{now + Duration{static_cast<int64_t>(random.below(15'000'000'000))}}
              : HoldLimit{};
      const Decision expected = reference.decide(now, hold);
      const Verdict verdict = single.ask(7, now, hold);
      ASSERT_EQ(verdict.kind, expected.kind);
      if (expected.kind == Kind::hold) {
        ASSERT_EQ(verdict.release_at, now + expected.wait);
        ++held;
      }
      if (expected.kind != Kind::refuse) reference.charge(now);
    }
  }
  EXPECT_GT(decisions, 1'500'000U);
  EXPECT_GT(held, 100'000U);
}

TEST(Bucket, extremes_of_rate_and_burst_do_not_overflow) {
  for (const auto& [requests, period] : {std::pair<uint64_t, uint64_t>{1, 86'400'000'000'000},
                                         {1, 100},
                                         {864'000'000'001, 86'400'000'000'000}}) {
    Policy policy{.rate = {requests, period}, .burst = burst_max, .delay = burst_max};
    while (check_policy(policy)) policy.burst = policy.delay = policy.burst / 2;
    Single single{policy, 1u << 4};
    const Instant now{std::chrono::seconds{1}};
    uint64_t admitted = 0;
    while (single.ask(1, now).kind != Kind::refuse) ++admitted;
    EXPECT_EQ(admitted, uint64_t{policy.burst} + 1);
    // A hundred years later, and at the end of time as a clock can tell it, it is as new.
    EXPECT_NE(single.ask(1, now + std::chrono::hours{24 * 36525}).kind, Kind::refuse);
    EXPECT_NE(single.ask(1, Instant::max()).kind, Kind::refuse);
  }
}

TEST(Bucket, key_that_always_asks_gets_burst_and_one_and_the_rate) {
  Single single{{.rate = {3, 1'000'000'000}, .burst = 5, .delay = 5}};
  const Instant start{std::chrono::seconds{9}};
  uint64_t admitted = 0;
  for (Instant now = start; now < start + std::chrono::seconds{100};
       now += std::chrono::milliseconds{1}) {
    if (single.ask(1, now).kind == Kind::pass) ++admitted;
  }
  EXPECT_EQ(admitted, 5 + 1 + static_cast<uint64_t>(99'999) * 3 / 1000);
}

// What an answer says is left is what is left.
TEST(Bucket, as_many_pass_as_are_left_and_one_more_when_it_is_said) {
  core::Random random{5};
  for (int round = 0; round < 500; ++round) {
    const uint64_t units[] = {1'000'000'000, 60'000'000'000, 86'400'000'000'000};
    Policy policy{
        .rate = {1 + random.below(random.chance(50) ? 10 : 1'000'000), units[random.below(3)]},
        .burst = static_cast<uint32_t>(random.below(20))};
    policy.delay = static_cast<uint32_t>(random.below(policy.burst + 1));
    policy.max_hold = Duration{static_cast<int64_t>(1 + random.below(5'000'000'000))};
    Single single{policy};
    Instant now{std::chrono::seconds{1}};
    const uint64_t step = policy.rate.period_ns / policy.rate.requests + 2;
    for (int i = 0; i < 5; ++i) {
      now += Duration{static_cast<int64_t>(random.below(4 * step))};
      const Verdict verdict = single.ask(1, now);
      if (verdict.kind == Kind::refuse) continue;
      ASSERT_EQ(verdict.nearest.limit, 0);
      const Left left = verdict.nearest.left;
      ASSERT_GT(left.more_in, Duration{0});
      const auto count = [&](Instant when) {
        uint32_t passed = 0;
        while (single.ask(1, when).kind != Kind::refuse) ++passed;
        return passed;
      };
      if (random.chance(50)) {
        ASSERT_EQ(count(now + left.more_in - Duration{1}), left.requests);
        ASSERT_EQ(count(now + left.more_in), 1U);
      } else {
        ASSERT_EQ(count(now), left.requests);
      }
    }
  }
}

TEST(Bucket, who_waits_as_long_as_told_is_admitted_and_a_moment_earlier_is_not) {
  core::Random random{3};
  for (int round = 0; round < 2000; ++round) {
    Policy policy{.rate = {1 + random.below(1000), 1'000'000'000},
                  .burst = static_cast<uint32_t>(random.below(10))};
    policy.delay = static_cast<uint32_t>(random.below(policy.burst + 1));
    policy.max_hold = Duration{static_cast<int64_t>(random.below(200'000'000))};
    Single single{policy};
    Instant now{std::chrono::seconds{1}};
    for (int i = 0; i < 50; ++i) {
      const HoldLimit hold = random.chance(30) ? no_hold : HoldLimit{};
      const Verdict verdict = single.ask(1, now, hold);
      if (verdict.kind != Kind::refuse) continue;
      EXPECT_EQ(single.ask(1, now + verdict.retry_after - Duration{1}, hold).kind, Kind::refuse);
      now += verdict.retry_after;
      EXPECT_NE(single.ask(1, now, hold).kind, Kind::refuse);
    }
  }
}

TEST(Bucket, time_that_runs_backwards_fills_nothing) {
  Single single{{.rate = {1, 1'000'000'000}, .burst = 0}};
  EXPECT_EQ(single.ask(1, Instant{std::chrono::seconds{10}}).kind, Kind::pass);
  EXPECT_EQ(single.ask(1, Instant{std::chrono::seconds{5}}).kind, Kind::refuse);
  EXPECT_EQ(single.ask(1, Instant{std::chrono::milliseconds{10'999}}).kind, Kind::refuse);
  EXPECT_EQ(single.ask(1, Instant{std::chrono::seconds{11}}).kind, Kind::pass);
}

TEST(Shard, holds_as_many_keys_as_it_was_made_for) {
  constexpr uint64_t capacity = 200'000;
  Single single{{.rate = {1, 86'400'000'000'000}, .burst = 0}, capacity};
  const Instant now{std::chrono::seconds{1}};
  core::Random keys{7};
  for (uint64_t i = 0; i < capacity; ++i)
    ASSERT_EQ(single.ask(keys.next() | 1, now).kind, Kind::pass) << i;
  EXPECT_EQ(single.shard().counters().keys.get(), capacity);
  core::Random again{7};
  for (uint64_t i = 0; i < capacity; ++i)
    ASSERT_EQ(single.ask(again.next() | 1, now).kind, Kind::refuse) << "forgotten: " << i;
  EXPECT_EQ(single.shard().counters().full_refused.get(), 0U);
}

TEST(Shard, full_table_refuses_or_admits_counts_and_forgets_nothing) {
  const Policy policy{.rate = {1, 1'000'000'000}, .burst = 0};
  const Instant now{std::chrono::seconds{1}};
  Single strict{policy, 1};
  const uint64_t room = strict.shard().capacity();
  for (uint64_t key = 1; key <= room; ++key)
    EXPECT_EQ(strict.ask(key << 40 | key, now).kind, Kind::pass) << key;
  EXPECT_EQ(strict.ask(999, now).kind, Kind::refuse);
  EXPECT_EQ(strict.ask(999, now).retry_after, std::chrono::seconds{1});
  EXPECT_EQ(strict.shard().counters().full_refused.get(), 2U);
  for (uint64_t key = 1; key <= room; ++key)
    EXPECT_EQ(strict.ask(key << 40 | key, now).kind, Kind::refuse) << "forgotten: " << key;
  // Drained buckets make room.
  EXPECT_EQ(strict.ask(999, now + std::chrono::seconds{1}).kind, Kind::pass);
  Single lenient{policy, 1, OnFull::admit};
  for (uint64_t key = 1; key <= room + 5; ++key)
    EXPECT_EQ(lenient.ask(key << 40 | key, now).kind, Kind::pass);
  EXPECT_EQ(lenient.shard().counters().full_admitted.get(), 5U);
}

// However full, however unlucky: one claim looks at no more than the bound says.
TEST(Shard, work_of_one_request_is_bounded) {
  Single single{{.rate = {1, 1'000'000'000}, .burst = 0}, 4096};
  core::Random random{5};
  Instant now{std::chrono::seconds{1}};
  uint64_t most = 0;
  for (int i = 0; i < 300'000; ++i) {
    now += Duration{static_cast<int64_t>(
        random.below(100'000))};  // ten thousand keys are live at a time: far too many
    static_cast<void>(single.ask(random.next() | 1, now));
    most = std::max(most, single.shard().take_examined());
  }
  EXPECT_GT(single.shard().counters().full_refused.get(), 1000U) << "it was never full";
  EXPECT_LE(most, Shard::examined_max);
  EXPECT_GT(most, Shard::examined_max / 2) << "the bound is far from what happens";
}

TEST(Shard, drained_keys_are_swept_as_new_ones_come) {
  Single single{{.rate = {1000, 1'000'000'000}, .burst = 0}, 100'000};
  core::Random random{6};
  Instant now{std::chrono::seconds{1}};
  for (int i = 0; i < 400'000; ++i) {
    now +=
        Duration{10'000};  // each is drained after a millisecond: a hundred keys are live at a time
    EXPECT_EQ(single.ask(random.next() | 1, now).kind, Kind::pass);
  }
  // A sweep of the whole table takes as many new keys as it has groups.
  EXPECT_LT(single.shard().counters().keys.get(),
            single.shard().capacity() / Shard::group_slots + 1000);
}

TEST(Shard, ten_million_keys_fit_400_mebibytes) {
  EXPECT_LE(Shard::size_bytes(10'000'000), 400ULL << 20);
}

// --- several limits in one visit -------------------------------------------------------------

class Several {
 public:
  explicit Several(std::vector<Limit> limits) : limits_(std::move(limits)), shard_(64, limits_) {
    for (uint16_t limit = 0; limit < limits_.size(); ++limit)
      claims_.push_back({.hash = 100U + limit, .limit = limit});
    shard_.keep_journal(&journal_);
  }
  ~Several() {
    tests::JournalOracle oracle{limits_};
    const auto wrong = oracle.judge(journal_, false);
    EXPECT_FALSE(wrong) << wrong.value_or("");
  }
  Verdict ask(Visit visit, Instant now, uint8_t taken = 0) {
    return shard_.visit(visit, claims_, HoldLimit{}, now, taken);
  }
  Verdict ask_one(uint16_t limit, Visit visit, Instant now, uint8_t taken = 0) {
    return shard_.visit(visit, {&claims_[limit], 1}, HoldLimit{}, now, taken);
  }
  Shard& shard() { return shard_; }

 private:
  std::vector<Limit> limits_;
  std::vector<Claim> claims_;
  limiter::Journal journal_{1 << 16};
  Shard shard_;
};

constexpr Instant start{std::chrono::seconds{1}};
const Policy once_a_second{.rate = {1, 1'000'000'000}, .burst = 0};

TEST(Visit, refusal_by_one_limit_charges_none) {
  Several several{{rate_limit({.rate = {1, 1'000'000'000}, .burst = 9, .delay = 9}),
                   rate_limit(once_a_second)}};
  EXPECT_EQ(several.ask(Visit::decide, start).kind, Kind::pass);
  for (int i = 0; i < 100; ++i) {
    const Verdict verdict = several.ask(Visit::decide, start);
    EXPECT_EQ(verdict.kind, Kind::refuse);
    EXPECT_EQ(verdict.refused_by, 1);
    EXPECT_EQ(verdict.taken, 0);
  }
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(several.ask_one(0, Visit::decide, start).kind, Kind::pass)
        << "the hundred refused ones were charged";
  EXPECT_EQ(several.ask_one(0, Visit::decide, start).kind, Kind::refuse);
  EXPECT_EQ(several.shard().counters(1).refused.get(), 100U);
}

TEST(Visit, longest_hold_and_longest_wait_count) {
  Several several{{rate_limit({.rate = {1, 1'000'000'000}, .burst = 1, .delay = 0}),
                   rate_limit({.rate = {1, 3'000'000'000}, .burst = 1, .delay = 0})}};
  EXPECT_EQ(several.ask(Visit::decide, start).kind, Kind::pass);
  const Verdict held = several.ask(Visit::decide, start);
  EXPECT_EQ(held.kind, Kind::hold);
  EXPECT_EQ(held.release_at, start + std::chrono::seconds{3});
  const Verdict refused = several.ask(Visit::decide, start);
  EXPECT_EQ(refused.kind, Kind::refuse);
  EXPECT_EQ(refused.retry_after, std::chrono::seconds{3});
  EXPECT_EQ(refused.refused_by, 1);
}

TEST(Visit, reservation_counts_while_it_lasts_and_leaves_no_trace) {
  Several several{{rate_limit(once_a_second)}};
  const Verdict reserved = several.ask(Visit::reserve, start);
  EXPECT_EQ(reserved.kind, Kind::pass);
  EXPECT_EQ(reserved.taken, 1);
  EXPECT_EQ(several.ask(Visit::decide, start).kind, Kind::refuse);
  EXPECT_EQ(several.ask(Visit::probe, start).kind, Kind::refuse);
  several.ask(Visit::give_back, start + Duration{5}, reserved.taken);
  EXPECT_EQ(several.ask(Visit::probe, start + Duration{5}).kind, Kind::pass);
  EXPECT_EQ(several.ask(Visit::decide, start + Duration{5}).kind, Kind::pass);
}

// What is set aside does not leak; a commit charges as of its own instant, as if the request had
// come then.
TEST(Visit, commit_charges_as_of_its_own_instant) {
  Several several{{rate_limit(once_a_second)}};
  const Verdict reserved = several.ask(Visit::reserve, start);
  several.ask(Visit::commit, start + std::chrono::milliseconds{300}, reserved.taken);
  EXPECT_EQ(several.ask(Visit::decide, start + std::chrono::milliseconds{1299}).kind, Kind::refuse);
  EXPECT_EQ(several.ask(Visit::decide, start + std::chrono::milliseconds{1300}).kind, Kind::pass);
}

TEST(Visit, reserved_key_is_never_swept) {
  Several several{
      {rate_limit({.rate = {10'000'000, 1'000'000'000}, .burst = 0}), rate_limit(once_a_second)}};
  const Verdict reserved = several.ask_one(0, Visit::reserve, start);
  const Instant later = start + std::chrono::hours{1};
  for (uint64_t key = 1; key < 10'000; ++key) {
    const Claim claim{.hash = key << 33 | 1, .limit = 0};
    static_cast<void>(several.shard().visit(Visit::decide, {&claim, 1}, HoldLimit{},
                                            later + std::chrono::seconds{key}));
  }
  several.ask_one(0, Visit::commit, later + std::chrono::hours{9},
                  reserved.taken);  // asserts if it is gone
}

TEST(Visit, concurrency_is_counted_until_given_back) {
  Several several{{places(2), rate_limit({.rate = {1, 1}, .burst = 100, .delay = 100})}};
  const Verdict first = several.ask(Visit::decide, start);
  EXPECT_EQ(first.taken, 3);
  EXPECT_EQ(several.ask(Visit::decide, start).kind, Kind::pass);
  const Verdict third = several.ask(Visit::decide, start);
  EXPECT_EQ(third.kind, Kind::refuse);
  EXPECT_EQ(third.refused_by, 0);
  several.ask_one(0, Visit::give_back, start + std::chrono::hours{1}, 1);
  EXPECT_EQ(several.ask(Visit::decide, start + std::chrono::hours{1}).kind, Kind::pass);
  EXPECT_EQ(several.ask(Visit::decide, start + std::chrono::hours{1}).kind, Kind::refuse);
}

TEST(Visit, dry_run_decides_and_counts_and_lets_through) {
  Several several{{rate_limit(once_a_second, Enforcement::dry_run)}};
  EXPECT_EQ(several.ask(Visit::decide, start).would_refuse, no_limit);
  for (int i = 0; i < 5; ++i) {
    const Verdict verdict = several.ask(Visit::decide, start);
    EXPECT_EQ(verdict.kind, Kind::pass);
    EXPECT_EQ(verdict.would_refuse, 0);
  }
  EXPECT_EQ(several.shard().counters(0).would_refuse.get(), 5U);
  EXPECT_EQ(several.shard().counters(0).refused.get(), 0U);
}

// --- several cores ---------------------------------------------------------------------------

// Random requests with limits on random cores, their messages in any order: what each shard does is
// what the formula says, and once all have ended nothing is left anywhere.
TEST(LimitCheck, any_interleaving_of_cores_keeps_every_bucket_exact) {
  core::Random random{11};
  for (int round = 0; round < 300; ++round) {
    const uint32_t cores = 1 + static_cast<uint32_t>(random.below(4));
    std::vector<Limit> limits;
    for (int limit = 0; limit < 5; ++limit) {
      Policy policy{.rate = {1 + random.below(3), 1'000'000},
                    .burst = static_cast<uint32_t>(random.below(4))};
      policy.delay = static_cast<uint32_t>(random.below(policy.burst + 1));
      limits.push_back(random.chance(30) ? places(1 + static_cast<uint32_t>(random.below(3)))
                                         : rate_limit(policy));
      if (random.chance(20)) limits.back().enforcement = Enforcement::dry_run;
    }
    std::vector<std::unique_ptr<Shard>> shards;
    std::vector<std::unique_ptr<Journal>> journals;
    for (uint32_t core = 0; core < cores; ++core) {
      shards.push_back(
          std::make_unique<Shard>(1, limits, random.chance(50) ? OnFull::refuse : OnFull::admit));
      journals.push_back(std::make_unique<Journal>(1 << 14));
      shards.back()->keep_journal(journals.back().get());
    }
    struct Request {
      proxy::LimitCheck check;
      proxy::LimitVisit visit;
      uint32_t owner = 0;
      bool ending = false;
    };
    std::vector<std::unique_ptr<Request>> out;
    Instant now = start;
    unsigned begun = 0;
    while (begun < 300 || !out.empty()) {
      now += Duration{static_cast<int64_t>(random.below(300'000))};
      if (begun < 300 && (out.empty() || random.chance(40))) {
        ++begun;
        auto request = std::make_unique<Request>();
        request->check.begin_stage();
        for (uint16_t limit = 0; limit < limits.size(); ++limit) {
          if (random.chance(50)) continue;
          const uint64_t key = 1000U * (limit + 1U) + random.below(3);
          request->check.add({.hash = key, .limit = limit}, limits[limit].kind,
                             static_cast<uint32_t>(key % cores));
        }
        request->check.begin_asking(random.chance(80) ? HoldLimit{} : no_hold);
        if (request->check.next(request->visit, request->owner)) out.push_back(std::move(request));
        continue;
      }
      const size_t index = random.below(out.size());
      Request& request = *out[index];
      request.visit.verdict = shards[request.owner]->visit(
          request.visit.visit, {request.visit.claims.data(), request.visit.count},
          request.visit.hold, now, request.visit.taken);
      request.check.absorb(request.visit);
      if (!request.ending && random.chance(10)) {  // the client is gone in the middle of it
        request.ending = true;
        request.check.begin_giving_back();
      }
      if (request.check.next(request.visit, request.owner)) continue;
      if (!request.ending && !request.check.is_clear()) {  // it has a place, and ends some day
        request.ending = true;
        request.check.begin_giving_back();
        if (request.check.next(request.visit, request.owner)) continue;
      }
      EXPECT_TRUE(request.check.is_clear());
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(index));
    }
    for (uint32_t core = 0; core < cores; ++core) {
      tests::JournalOracle oracle{limits};
      const auto wrong = oracle.judge(*journals[core], true);
      ASSERT_FALSE(wrong) << "round " << round << ": " << *wrong;
    }
  }
}

TEST(Rate, texts_are_read_or_explained) {
  const auto rate = [](const char* text) { return parse_rate(text); };
  EXPECT_EQ(std::get<Rate>(rate("10/s")).period_ns, 100'000'000U);
  EXPECT_EQ(std::get<Rate>(rate("6000/min")).period_ns, 10'000'000U);
  EXPECT_EQ(std::get<Rate>(rate("3/s")).requests, 3U);
  EXPECT_EQ(std::get<Rate>(rate("1/day")).period_ns, 86'400'000'000'000U);
  EXPECT_EQ(std::get<Rate>(rate("10000000/s")).period_ns, 100U);
  for (const char* text :
       {"10", "10/", "/s", "0/s", "-1/s", "1.5/s", "10000001/s", "10/fortnight", ""}) {
    const auto parsed = rate(text);
    ASSERT_TRUE(std::holds_alternative<Complaint>(parsed)) << text;
    EXPECT_NE(std::get<Complaint>(parsed).text.find("write for example 10/s"), std::string::npos);
  }
  EXPECT_TRUE(check_policy({.rate = {1, 86'400'000'000'000}, .burst = 1'000'000}))
      << "a burst that drains for 2700 years";
  EXPECT_TRUE(check_policy({.burst = 3, .delay = 4}));
  EXPECT_FALSE(check_policy({.rate = {1, 86'400'000'000'000}, .burst = 36'000}));
}

TEST(Ownership, every_key_has_one_owner_and_all_cores_own_some) {
  const Ownership ownership{4, {.owners = 99 | uint64_t{7} << 32, .places = {1, 2}}};
  std::array<int, 4> by_address{};
  std::array<int, 4> by_hash{};
  for (uint32_t address = 0; address < 10'000; ++address) {
    const Network network{0x7f000001 + address, false};
    ++by_address[ownership.owner_of(network)];
    KeyHash key = ownership.key(limit_id("a", "rate"));
    key.add(network);
    const Claim claim = key.claim(3);
    ++by_hash[ownership.owner_of(claim.hash)];
    EXPECT_EQ(claim.limit, 3);
    KeyHash other = ownership.key(limit_id("a", "concurrent"));
    other.add(network);
    EXPECT_NE(claim.hash, other.claim(3).hash);
    KeyHash sixth = ownership.key(limit_id("a", "rate"));
    sixth.add({network.bits, true});
    EXPECT_NE(claim.hash, sixth.claim(3).hash);
  }
  for (const int count : by_address) EXPECT_NEAR(count, 2500, 300);
  for (const int count : by_hash) EXPECT_NEAR(count, 2500, 300);
}

// What a key consists of, in the order of its parts.
Claim claim_of(const core::SipHash::Key& secret,
               std::initializer_list<std::initializer_list<std::string_view>> parts) {
  KeyHash key{secret, 1};
  for (const auto& part : parts) {
    for (const std::string_view text : part) key.add(text);
    key.end_list();
  }
  return key.claim(0);
}

TEST(KeyHash, no_two_keys_of_a_limit_are_confused) {
  const core::SipHash::Key secret{5, 6};
  const std::string zeros(8, '\0');
  const std::initializer_list<std::initializer_list<std::initializer_list<std::string_view>>> keys{
      {{"ab"}, {"c"}},      {{"a"}, {"bc"}},         {{"a", "b"}, {"c"}},
      {{"a"}, {"b", "c"}},  {{"a", "b", "c"}},       {{"abc"}},
      {{"abc", ""}},        {{"", "abc"}},           {{"abc", zeros}},
      {{"12345678"}},       {{"12345678", ""}},      {{"1234567", "8"}},
      {{"12345678"}, {""}}, {{"12345678"}, {zeros}}, {{"a"}, {"a"}},
      {{"a", "a"}}};
  std::set<std::pair<uint64_t, uint32_t>> seen;
  for (const auto& key : keys) {
    const Claim claim = claim_of(secret, key);
    EXPECT_TRUE(seen.insert({claim.hash, claim.check}).second);
    EXPECT_EQ(claim_of(secret, key).check, claim.check);
    EXPECT_NE(claim_of({5, 7}, key).hash, claim.hash) << "another secret, another place";
  }
}

TEST(KeyHash, every_bit_of_the_secret_moves_a_key_and_owner_and_place_share_none) {
  const core::SipHash::Key secret{0x0123456789abcdef, 0xfedcba9876543210};
  const Claim claim = claim_of(secret, {{"victim"}});
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flip = uint64_t{1} << bit;
    for (const core::SipHash::Key& other : {core::SipHash::Key{secret.low ^ flip, secret.high},
                                            core::SipHash::Key{secret.low, secret.high ^ flip}}) {
      const Claim moved = claim_of(other, {{"victim"}});
      EXPECT_GT(std::popcount(moved.hash ^ claim.hash), 10);
      EXPECT_NE(moved.check, claim.check);
    }
    const Network network{0x7f000001, false};
    KeyHash one = Ownership{4, {.owners = 1, .places = secret}}.key(9);
    KeyHash two = Ownership{4, {.owners = 1 ^ flip, .places = secret}}.key(9);
    one.add(network);
    two.add(network);
    EXPECT_EQ(one.claim(0).hash, two.claim(0).hash) << "the owners' secret places nothing";
  }
}

TEST(Shard, keys_with_one_hash_have_buckets_of_their_own) {
  const Limit limit = rate_limit({.rate = {1, 60'000'000'000}, .burst = 1, .delay = 1});
  Shard shard{64, {&limit, 1}};
  const Instant now{std::chrono::seconds{1}};
  const auto ask = [&](uint32_t check) {
    const Claim claim{.hash = 77, .check = check};
    return shard.visit(Visit::decide, {&claim, 1}, HoldLimit{}, now).kind;
  };
  for (uint32_t check = 0; check < 8; ++check) {
    EXPECT_EQ(ask(check), Kind::pass);
    EXPECT_EQ(ask(check), Kind::pass);
    EXPECT_EQ(ask(check), Kind::refuse);
  }
  EXPECT_EQ(ask(0), Kind::refuse);
}

TEST(Ownership, networks_are_cut_where_the_configuration_says) {
  const auto address = [](const char* text) { return *core::SocketAddress::parse_host(text, 0); };
  EXPECT_EQ(network_of(address("192.0.2.77"), {.ipv4 = 24}),
            network_of(address("192.0.2.1"), {.ipv4 = 24}));
  EXPECT_NE(network_of(address("192.0.2.77"), {}), network_of(address("192.0.2.1"), {}));
  EXPECT_EQ(network_of(address("2001:db8:1:2::9"), {}),
            network_of(address("2001:db8:1:2:ff::"), {}));
  EXPECT_NE(network_of(address("2001:db8:1:2::"), {}), network_of(address("2001:db8:1:3::"), {}));
  EXPECT_EQ(network_of(address("2001:db8:1:2::"), {.ipv6 = 48}),
            network_of(address("2001:db8:1:3::"), {.ipv6 = 48}));
  EXPECT_EQ(network_of(address("::ffff:192.0.2.1"), {}), network_of(address("192.0.2.1"), {}));
}

// A classic BPF machine, as far as the steering program needs one, over an IP header.
uint32_t run_program(const std::vector<sock_filter>& program, const std::vector<uint8_t>& header) {
  uint32_t a = 0, x = 0, memory[16] = {};
  for (size_t at = 0;; ++at) {
    const sock_filter& op = program.at(at);
    const uint32_t k = op.k;
    const uint32_t offset = k - static_cast<uint32_t>(SKF_NET_OFF);
    switch (op.code) {
      case BPF_LD | BPF_B | BPF_ABS: a = header.at(offset); break;
      case BPF_LD | BPF_W | BPF_ABS:
        a = uint32_t{header.at(offset)} << 24 | uint32_t{header.at(offset + 1)} << 16 |
            uint32_t{header.at(offset + 2)} << 8 | header.at(offset + 3);
        break;
      case BPF_LD | BPF_IMM: a = k; break;
      case BPF_LD | BPF_MEM: a = memory[k]; break;
      case BPF_LDX | BPF_MEM: x = memory[k]; break;
      case BPF_ST: memory[k] = a; break;
      case BPF_MISC | BPF_TAX: x = a; break;
      case BPF_ALU | BPF_ADD | BPF_X: a += x; break;
      case BPF_ALU | BPF_OR | BPF_X: a |= x; break;
      case BPF_ALU | BPF_XOR | BPF_X: a ^= x; break;
      case BPF_ALU | BPF_MUL | BPF_K: a *= k; break;
      case BPF_ALU | BPF_AND | BPF_K: a &= k; break;
      case BPF_ALU | BPF_RSH | BPF_K: a >>= k; break;
      case BPF_ALU | BPF_LSH | BPF_K: a <<= k; break;
      case BPF_ALU | BPF_MOD | BPF_K: a %= k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: at += a == k ? op.jt : op.jf; break;
      case BPF_RET | BPF_A: return a;
      case BPF_RET | BPF_K: return k;
      default: ADD_FAILURE() << "no such instruction: " << op.code; return 0;
    }
  }
}

TEST(Steering, program_and_owner_agree_over_a_million_addresses) {
  core::Random random{21};
  uint64_t compared = 0;
  for (const uint32_t cores : {1U, 2U, 3U, 8U, 64U}) {
    for (const NetworkBits bits :
         {NetworkBits{}, NetworkBits{.ipv4 = 24, .ipv6 = 48}, NetworkBits{.ipv4 = 8, .ipv6 = 16}}) {
      const uint64_t seed = random.next();
      const Ownership ownership{cores, {.owners = seed}, bits};
      const auto program = steering_program(cores, seed, bits);
      for (int i = 0; i < 40'000; ++i, compared += 2) {
        std::vector<uint8_t> v4(20), v6(40);
        for (auto& byte : v4) byte = static_cast<uint8_t>(random.next());
        for (auto& byte : v6) byte = static_cast<uint8_t>(random.next());
        v4[0] = 0x45;
        v6[0] = 0x60;
        sockaddr_in in4{};
        in4.sin_family = AF_INET;
        std::memcpy(&in4.sin_addr, v4.data() + 12, 4);
        sockaddr_in6 in6{};
        in6.sin6_family = AF_INET6;
        std::memcpy(&in6.sin6_addr, v6.data() + 8, 16);
        ASSERT_EQ(run_program(program, v4),
                  ownership.owner_of(ownership.network_of(core::SocketAddress{in4})));
        ASSERT_EQ(run_program(program, v6),
                  ownership.owner_of(ownership.network_of(core::SocketAddress{in6})));
      }
      EXPECT_EQ(run_program(program, std::vector<uint8_t>(40, 0x50)), UINT32_MAX)
          << "neither IPv4 nor IPv6";
    }
  }
  EXPECT_GE(compared, 1'000'000U);
}

TEST(Steering, is_given_up_when_one_core_carries_it_all_for_some_seconds) {
  SteeringJudge judge;
  const std::array<uint64_t, 4> even{1000, 1000, 1100, 900}, lopsided{4000, 3, 2, 1},
      quiet{50, 0, 0, 0};
  EXPECT_FALSE(judge.observe(even));
  EXPECT_FALSE(judge.observe(lopsided));
  EXPECT_FALSE(judge.observe(lopsided));
  EXPECT_FALSE(judge.observe(even)) << "it was only a moment";
  for (int second = 0; second < 20; ++second)
    EXPECT_FALSE(judge.observe(quiet)) << "a few requests say nothing";
  EXPECT_FALSE(judge.observe(lopsided));
  EXPECT_FALSE(judge.observe(lopsided));
  EXPECT_TRUE(judge.observe(lopsided));
  EXPECT_DOUBLE_EQ(imbalance(std::array<uint64_t, 2>{30, 10}), 1.5);
  EXPECT_DOUBLE_EQ(imbalance(std::array<uint64_t, 2>{0, 0}), 1.0);
}

}  // namespace
}  // namespace sluice::limiter
