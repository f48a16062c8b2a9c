// Timers, slabs, mailboxes, addresses and buffers.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "core/address.h"
#include "core/cidr.h"
#include "core/mailbox.h"
#include "core/random.h"
#include "core/slab.h"
#include "core/timer_wheel.h"

namespace sluice::core {
namespace {

using std::chrono::milliseconds;

TEST(TimerWheel, timers_fire_at_their_deadline_in_order_and_never_early) {
  // Against a sorted map, over random arming, moving and disarming.
  Random random{7};
  Instant now{std::chrono::seconds{5}};
  TimerWheel wheel{now};
  std::vector<Timer> timers(300);
  std::map<uint32_t, Instant> expected;
  for (uint32_t slot = 0; slot < timers.size(); ++slot) timers[slot].bind({1, 0, slot});
  for (int step = 0; step < 20000; ++step) {
    const auto slot = static_cast<uint32_t>(random.below(timers.size()));
    if (random.chance(60)) {
      const uint64_t scale = uint64_t{1} << random.below(36);
      expected[slot] = now + std::chrono::microseconds{random.below(scale)};
      wheel.arm(timers[slot], expected[slot]);
    } else if (random.chance(40)) {
      wheel.disarm(timers[slot]);
      expected.erase(slot);
    }
    const Duration until = wheel.until_next(now);
    now += random.chance(50) ? Duration{milliseconds{random.below(50)}}
                             : std::min<Duration>(until, std::chrono::hours{30});
    wheel.advance(now, [&](Timer& timer) {
      const auto found = expected.find(timer.token().slot);
      ASSERT_NE(found, expected.end());
      EXPECT_LE(found->second, now);
      expected.erase(found);
    });
    for (const auto& [late, deadline] : expected)
      ASSERT_GT(deadline + milliseconds{2}, now) << late;
    ASSERT_EQ(wheel.armed(), expected.size());
  }
  for (auto& timer : timers) wheel.disarm(timer);
}

TEST(TimerWheel, empty_wheel_waits_for_ever) {
  TimerWheel wheel{Instant{}};
  EXPECT_EQ(wheel.until_next(Instant{}), forever);
}

TEST(TimerWheel, timer_may_be_armed_again_while_it_fires) {
  TimerWheel wheel{Instant{}};
  Timer timer;
  int fired = 0;
  wheel.arm(timer, Instant{milliseconds{1}});
  for (int ms = 1; ms <= 10; ++ms) {
    wheel.advance(Instant{milliseconds{ms}}, [&](Timer& due) {
      ++fired;
      wheel.arm(due, Instant{milliseconds{ms + 1}});
    });
  }
  EXPECT_EQ(fired, 10);
  wheel.disarm(timer);
}

TEST(TimerWheel, timers_of_one_tick_fire_in_the_order_in_which_they_were_armed) {
  // Far away, nearer, and at once: they stand on different levels of the wheel first.
  for (const int64_t due : {70, 5000, 300'000}) {
    TimerWheel wheel{Instant{}};
    std::array<Timer, 6> timers;
    const std::array<int64_t, 6> armed_at{0, 0, due / 2, due - 10, due - 10, due - 1};
    std::vector<size_t> order;
    const auto fire = [&](Timer& timer) {
      order.push_back(static_cast<size_t>(&timer - timers.data()));
    };
    for (size_t index = 0; index < timers.size(); ++index) {
      wheel.advance(Instant{milliseconds{armed_at[index]}}, fire);
      wheel.arm(timers[index], Instant{milliseconds{due}});
    }
    wheel.advance(Instant{milliseconds{due}}, fire);
    EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4, 5})) << due;
  }
}

TEST(Cidr, networks_are_read_and_hold_their_addresses) {
  const auto in = [](const char* network, const char* address) {
    return Cidr::parse(network)->contains(*SocketAddress::parse_host(address, 0));
  };
  EXPECT_TRUE(in("10.0.0.0/8", "10.255.1.2"));
  EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(in("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(in("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(in("10.0.0.0/9", "::ffff:10.127.0.1")) << "v4-mapped counts as IPv4";
  EXPECT_FALSE(in("10.0.0.0/9", "10.128.0.1"));
  EXPECT_TRUE(in("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(in("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(in("0.0.0.0/0", "2001:db8::1"));
  for (const char* text : {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::/129", "host/8",
                           "10.0.0.0/-1", "10.0.0/8"})
    EXPECT_FALSE(Cidr::parse(text)) << text;
}

TEST(Slab, released_object_is_not_found_and_not_taken_before_reclaim) {
  Slab<int> slab{2};
  int* first = slab.take();
  int* second = slab.take();
  EXPECT_EQ(slab.take(), nullptr);
  const Token token = slab.token(3, *first);
  EXPECT_EQ(slab.find(token.slot, token.generation), first);
  slab.release(*first);
  EXPECT_EQ(slab.find(token.slot, token.generation), nullptr);
  EXPECT_EQ(slab.take(), nullptr) << "several completions of one batch may still name it";
  slab.reclaim();
  EXPECT_EQ(slab.take(), first);
  EXPECT_EQ(slab.find(token.slot, token.generation), nullptr)
      << "the same slot, another generation";
  EXPECT_NE(second, nullptr);
}

TEST(Token, packing_keeps_every_bit) {
  const Token token{.kind = 0xab, .generation = 0xcdef01, .slot = 0x23456789};
  EXPECT_EQ(Token::unpack(token.pack()), token);
}

TEST(Mailbox, full_mailbox_refuses_and_keeps_order) {
  Mailbox box{2};
  Message a, b, c;
  EXPECT_TRUE(box.post(a));
  EXPECT_TRUE(box.post(b));
  EXPECT_FALSE(box.post(c));
  EXPECT_EQ(box.take(), &a);
  EXPECT_TRUE(box.post(c));
  EXPECT_EQ(box.take(), &b);
  EXPECT_EQ(box.take(), &c);
  EXPECT_EQ(box.take(), nullptr);
}

TEST(Postbox, sleeper_is_never_left_with_mail) {
  // Each message is posted while the receiver may be about to sleep; whoever claims the doorbell
  // wakes it.
  Postbox postbox{1, 8};
  std::atomic<int> bell{0};
  constexpr int messages = 20000;
  int received = 0;
  std::thread receiver{[&] {
    while (received < messages) {
      if (postbox.begin_sleep()) {
        bell.wait(0);
        bell = 0;
      }
      postbox.end_sleep();
      received += static_cast<int>(postbox.drain([](Message&) {}));
    }
  }};
  Message message;
  for (int i = 0; i < messages; ++i) {
    while (!postbox.post(0, message)) std::this_thread::yield();
    if (postbox.claim_doorbell()) {
      bell = 1;
      bell.notify_one();
    }
  }
  receiver.join();
  EXPECT_EQ(received, messages);
}

TEST(SocketAddress, texts_are_read_and_written) {
  for (const char* text : {"127.0.0.1:8000", "0.0.0.0:1", "[::1]:65535", "[2001:db8::1]:80"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
  }
  EXPECT_EQ(SocketAddress::parse(":9")->text(), "0.0.0.0:9");
  for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]",
                           "host:80", "1.2.3:4", "127.0.0.1:8o"}) {
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
  }
}

TEST(SocketAddress, prefix_is_32_bits_of_ipv4_and_64_of_ipv6) {
  const auto prefix = [](const char* text) { return SocketAddress::parse(text)->prefix(); };
  EXPECT_EQ(prefix("1.2.3.4:1"), (SocketAddress::Prefix{0x01020304, false}));
  EXPECT_EQ(prefix("[::ffff:1.2.3.4]:1"), prefix("1.2.3.4:9")) << "v4-mapped counts as IPv4";
  EXPECT_EQ(prefix("[2001:db8:1:2:3::4]:1"), prefix("[2001:db8:1:2:ffff::]:2"));
  EXPECT_NE(prefix("[2001:db8:1:2::]:1"), prefix("[2001:db8:1:3::]:1"));
}

}  // namespace
}  // namespace sluice::core
