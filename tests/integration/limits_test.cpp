// Limits as their users meet them: exact on any number of cores, by any key, and not to be dodged.
#include <functional>

#include "cli/limits_verify.h"
#include "tests/integration/fixture.h"

namespace sluice {
namespace {

constexpr const char* frame = R"(
auth: { main: { secret: { env: GATEWAY_TEST_SECRET } } }
upstreams: { service: { endpoints: [UPSTREAM] } }
)";

std::string config(const std::string& rest) { return frame + rest; }

std::string plain(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + "\r\n";
}

std::string bearer(const std::string& subject) {
  return "Authorization: Bearer " + token(subject) + "\r\n";
}

unsigned status_of(const std::string& answer) {
  return answer.size() < 12 ? 0 : static_cast<unsigned>(std::stoul(answer.substr(9, 3)));
}

// --- exactness -------------------------------------------------------------------------------

struct Layout {
  uint32_t workers;
  limiter::Steering steering;
  bool switched;
};

class Exactness : public ::testing::TestWithParam<Layout> {};

TEST_P(Exactness, key_that_always_asks_gets_what_the_formula_says) {
  const Layout layout = GetParam();
  cli::VerifyOptions options{.policy = {.rate = {1, 10'000'000}, .burst = 500, .delay = 500},
                             .cores = layout.workers,
                             .addresses = 4,
                             .connections = 8};
  options.duration = std::chrono::milliseconds{400};
  options.steering = layout.steering;
  options.switch_steering = layout.switched;
  const cli::VerifyReport report = cli::verify_limits(options);
  ASSERT_FALSE(report.failure) << *report.failure;
  EXPECT_EQ(report.keys.size(), 4U);
  for (const cli::VerifiedKey& key : report.keys) {
    EXPECT_GT(key.asked, key.admitted) << "never refused: nothing is shown";
    EXPECT_EQ(key.admitted, key.expected);
  }
  EXPECT_EQ(report.admitted_by_owners, report.answers_200);
  EXPECT_EQ(report.error(), 0U);
  if (layout.workers > 1 && layout.steering == limiter::Steering::spread) {
    EXPECT_GT(report.remote_checks, 0U);
  }
  if (layout.steering == limiter::Steering::address && !layout.switched) {
    EXPECT_EQ(report.remote_checks, 0U) << "a connection did not land on its owner";
  }
}

INSTANTIATE_TEST_SUITE_P(layouts, Exactness,
                         ::testing::Values(Layout{1, limiter::Steering::spread, false},
                                           Layout{2, limiter::Steering::spread, false},
                                           Layout{4, limiter::Steering::spread, false},
                                           Layout{8, limiter::Steering::spread, false},
                                           Layout{2, limiter::Steering::address, false},
                                           Layout{4, limiter::Steering::address, false},
                                           Layout{8, limiter::Steering::address, false},
                                           Layout{2, limiter::Steering::address, true},
                                           Layout{4, limiter::Steering::address, true},
                                           Layout{8, limiter::Steering::address, true}),
                         [](const auto& layout) {
                           const Layout& of = layout.param;
                           const char* how = of.switched ? "switched_in_mid_run"
                                             : of.steering == limiter::Steering::address ? "steered"
                                                                                         : "spread";
                           return std::to_string(of.workers) + "_workers_" + how;
                         });

// --- keys and stages -------------------------------------------------------------------------

using LimitsTest = GatewayTest;

TEST_F(LimitsTest, forwarded_field_of_a_stranger_neither_dodges_nor_poisons_a_limit) {
  start(config(R"(
limits: { per_address: { key: address, rate: 1/h, burst: 2, delay: 2 } }
routes: [ { auth: none, limits: per_address, upstream: service } ]
)"));
  // Each time another address is claimed, and the bucket is the same.
  std::string statuses;
  for (int i = 1; i <= 5; ++i) {
    statuses +=
        std::to_string(status_of(ask(
            plain("/", "X-Forwarded-For: 192.0.2." + std::to_string(i) + "\r\n"), 0x7f000005))) +
        " ";
  }
  EXPECT_EQ(statuses, "200 200 200 429 429 ");
  // Somebody claimed to be 127.0.0.6 all the time; 127.0.0.6 has lost nothing by it.
  for (int i = 0; i < 5; ++i)
    static_cast<void>(ask(plain("/", "X-Forwarded-For: 127.0.0.6\r\n"), 0x7f000005));
  EXPECT_EQ(status_of(ask(plain("/"), 0x7f000006)), 200U);
}

TEST_F(LimitsTest, behind_a_trusted_proxy_the_last_address_that_is_not_trusted_counts) {
  start(config(R"(
trusted: [127.0.0.5, 10.0.0.0/8]
limits: { per_address: { key: address, rate: 1/h, burst: 0 } }
routes: [ { auth: none, limits: per_address, upstream: service } ]
)"));
  const auto from_proxy = [&](const std::string& list) {
    return status_of(ask(plain("/", "X-Forwarded-For: " + list + "\r\n"), 0x7f000005));
  };
  EXPECT_EQ(from_proxy("192.0.2.1"), 200U);
  EXPECT_EQ(from_proxy("192.0.2.1"), 429U);
  EXPECT_EQ(from_proxy("192.0.2.2, 10.1.2.3"), 200U)
      << "10.1.2.3 is trusted, so 192.0.2.2 is the client";
  EXPECT_EQ(from_proxy("203.0.113.9, 192.0.2.2"), 429U)
      << "what stands before the client is the client's own invention";
  EXPECT_EQ(from_proxy("[2001:db8::1]:4711"), 200U);
  EXPECT_EQ(from_proxy("2001:db8::2"), 429U) << "the same /64";
  EXPECT_EQ(from_proxy("192.0.2.1, nonsense"), 200U)
      << "behind nonsense the proxy itself is the client";
  EXPECT_EQ(from_proxy("192.0.2.7, nonsense"), 429U);
  // What the endpoint is told: the list as it came, and the peer.
  const std::string headers = ask(
      plain("/headers", "X-Forwarded-For: 198.51.100.1, 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n"),
      0x7f000005);
  EXPECT_NE(headers.find("X-Forwarded-For: 198.51.100.1, 10.0.0.1, 10.0.0.2, 127.0.0.5\r\n"),
            std::string::npos)
      << headers;
}

TEST_F(LimitsTest, limit_before_authentication_pays_for_refused_tokens) {
  start(config(R"(
limits: { guard: { key: address, rate: 1/h, burst: 2, delay: 2, stage: before_auth } }
routes: [ { auth: main, limits: guard, upstream: service } ]
)"));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(status_of(ask(plain("/", "Authorization: Bearer a.b.c\r\n"))), 401U);
  const std::string refused = ask(plain("/", bearer("alice")));
  EXPECT_EQ(status_of(refused), 429U);
  EXPECT_NE(refused.find("\"code\":\"limit.guard\""), std::string::npos);
  EXPECT_NE(refused.find("RateLimit: \"guard\";r=0;t=3600\r\n"), std::string::npos) << refused;
}

TEST_F(LimitsTest, limit_by_claim_counts_verified_tokens_only) {
  start(config(R"(
limits: { per_user: { key: "claim:sub", rate: 1/h, burst: 0 } }
routes: [ { auth: main, limits: per_user, upstream: service } ]
)"));
  // Tokens in alice's name that nobody signed cost alice nothing.
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(status_of(ask(plain("/", bearer("alice").insert(60, "x")))), 401U);
  EXPECT_EQ(status_of(ask(plain("/", bearer("alice")))), 200U);
  EXPECT_EQ(status_of(ask(plain("/", bearer("alice")), 0x7f000009)), 429U)
      << "wherever she calls from";
  EXPECT_EQ(status_of(ask(plain("/", bearer("bob")))), 200U);
}

TEST_F(LimitsTest, missing_part_of_a_key_refuses_or_skips) {
  start(config(R"(
limits:
  strict: { key: [address, "header:X-Client"], rate: 1/h, burst: 0 }
  lenient: { key: "header:X-Client", rate: 1/h, burst: 0, on_missing: skip }
routes:
  - { match: { path_prefix: /strict }, auth: none, limits: strict, upstream: service }
  - { match: { path_prefix: /lenient }, auth: none, limits: lenient, upstream: service }
)"));
  const std::string refused = ask(plain("/strict"));
  EXPECT_EQ(status_of(refused), 403U);
  EXPECT_NE(refused.find("limit.key_missing"), std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/strict", "X-Client: a\r\n"))), 404U)
      << "the example service has no such page";
  EXPECT_EQ(status_of(ask(plain("/strict", "x-client: a\r\n"))), 429U);
  EXPECT_EQ(status_of(ask(plain("/strict", "X-Client: b\r\n"))), 404U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status_of(ask(plain("/lenient"))), 404U);
  EXPECT_EQ(status_of(ask(plain("/lenient", "X-Client: a\r\n"))), 404U);
  EXPECT_EQ(status_of(ask(plain("/lenient", "X-Client: a\r\n"))), 429U);
}

TEST_F(LimitsTest, several_limits_on_a_route_charge_together_or_not_at_all) {
  start(config(R"(
limits:
  narrow: { key: [address, route], rate: 1/h, burst: 1, delay: 1 }
  wide: { key: address, rate: 1/h, burst: 3, delay: 3 }
routes:
  - { match: { path_prefix: /a }, auth: none, limits: [narrow, wide], upstream: service }
  - { match: { path_prefix: /b }, auth: none, limits: [narrow, wide], upstream: service }
)"));
  std::string statuses;
  for (const char* path : {"/a", "/a", "/a", "/a", "/a", "/b", "/b", "/b"})
    statuses += std::to_string(status_of(ask(plain(path)))) + " ";
  EXPECT_EQ(statuses, "404 404 429 429 429 404 404 429 ")
      << "what narrow refuses must not drain wide";
}

TEST_F(LimitsTest, dry_run_lets_through_and_says_what_it_would_do) {
  start(config(R"(
limits: { trial: { key: address, rate: 1/h, burst: 0, dry_run: true } }
routes: [ { auth: none, limits: trial, upstream: service } ]
)"));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(status_of(ask(plain("/"))), 200U);
  EXPECT_EQ(metric("gateway_limiter_decisions_total{limit=\"trial\",counts=\"rate\",decision="
                   "\"would_refuse\"}"),
            3U);
  EXPECT_EQ(
      metric(
          "gateway_limiter_decisions_total{limit=\"trial\",counts=\"rate\",decision=\"refuse\"}"),
      0U);
}

TEST_F(LimitsTest, concurrency_is_released_however_a_request_ends) {
  start(config(R"(
limits: { few: { key: address, concurrent: 2 } }
routes: [ { auth: none, limits: few, upstream: service } ]
)"));
  // Each of two requests that never end ends in another way: by its client's close, by its client's
  // reset.
  for (const bool reset : {false, true}) {
    auto first = std::make_unique<Connection>(gateway_->port());
    auto second = std::make_unique<Connection>(gateway_->port());
    first->send(plain("/slow?ms=600000"));
    second->send(plain("/slow?ms=600000"));
    while (metric("gateway_requests_in_flight") != 3) {
    }
    const std::string refused = ask(plain("/"));
    EXPECT_EQ(status_of(refused), 429U);
    EXPECT_NE(refused.find("Retry-After: 1\r\n"), std::string::npos);
    if (reset) first->reset_on_close();
    first.reset();
    while (metric("gateway_requests_in_flight") != 2) {
    }
    EXPECT_EQ(status_of(ask(plain("/"))), 200U);
    EXPECT_EQ(status_of(ask(plain("/"))), 200U) << "an ordinary end";
    second.reset();
    while (metric("gateway_requests_in_flight") != 1) {
    }
  }
}

TEST_F(LimitsTest, request_for_no_route_and_for_the_wrong_method_are_told_apart) {
  start(config(R"(
routes:
  - { match: { path_prefix: /orders, methods: [GET, HEAD] }, auth: none, upstream: service }
  - { match: { path_prefix: /orders, methods: POST }, auth: none, upstream: service }
)"));
  EXPECT_NE(ask(plain("/else")).find("\"code\":\"route.none\""), std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/ordersx"))), 404U);
  const std::string refused =
      ask("DELETE /orders/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(refused), 405U);
  EXPECT_NE(refused.find("Allow: GET, HEAD, POST\r\n"), std::string::npos) << refused;
}

// Here because the listeners are closed; elsewhere because the kernel is old or forbids it.
TEST_F(LimitsTest, refusal_to_steer_is_one_warning_and_connections_are_spread) {
  start();
  gateway_->begin_drain();
  while (!gateway_->wait(std::chrono::seconds{1})) {
  }
  EXPECT_TRUE(gateway_->take_notices().empty());
  EXPECT_FALSE(gateway_->set_steering(limiter::Steering::address));
  const auto notices = gateway_->take_notices();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_TRUE(
      notices.front().starts_with("warning: the kernel refuses to steer connections by address "
                                  "(Bad file descriptor); it spreads them"));
}

// One address is all the load there is: steering by it would leave every core but one idle.
TEST_F(LimitsTest, automatic_steering_gives_up_where_one_core_would_carry_it_all) {
  config_.steering = limiter::Steering::automatic;
  start();
  EXPECT_EQ(metric("gateway_steering_by_address"), 1U);
  Connection connection{gateway_->port()};
  std::vector<std::string> notices;
  for (int second = 0; second < 10 && notices.empty(); ++second) {
    for (int i = 0; i < 300; ++i) {
      connection.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
      connection.read_until("\"ok\"}\n");
    }
    gateway_->look_after();
    notices = gateway_->take_notices();
  }
  ASSERT_EQ(notices.size(), 1U);
  const std::string all_of_it = std::to_string(config_.cores.size()) + ".00 times its share";
  EXPECT_NE(notices.front().find(all_of_it), std::string::npos) << notices.front();
  EXPECT_EQ(metric("gateway_steering_by_address"), 0U);
}

}  // namespace
}  // namespace sluice
