// The hot parts, one by one.
#include <array>
#include <cstring>
#include <memory>

#include "auth/authenticator.h"
#include "auth/mint.h"
#include "bench/measure.h"
#include "config/route_table.h"
#include "core/random.h"
#include "core/timer_wheel.h"
#include "gateway/endpoint.h"
#include "http/head_scanner.h"
#include "http/hygiene.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "metrics/access_log.h"
#include "proxy/upstream/core_upstream.h"

namespace {

using namespace sluice;
using bench::measure;

// 500 bytes, 10 fields.
const std::string request =
    "GET /api/orders/12345?expand=lines&limit=20 HTTP/1.1\r\nHost: api.example\r\nUser-Agent: "
    "Mozilla/5.0 (X11; Linux x86_64) "
    "Gecko/20100101\r\n"
    "Accept: application/json, text/plain, */*\r\nAccept-Language: "
    "en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://shop.example/orders\r\nOrigin: https://shop.example\r\nConnection: "
    "keep-alive\r\nCache-Control: no-cache\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";
const std::string response =
    "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: application/json\r\nContent-Length: "
    "13\r\nCache-Control: no-store\r\n\r\n";

void request_head_from_bytes_to_upstream_head(benchmark::State& state) {
  auto head = std::make_unique<http::RequestHead>();
  std::string bytes = request;
  std::array<std::byte, 4096> out;
  measure(state, [&] {
    std::memcpy(bytes.data(), request.data(), request.size());  // the target is normalised in place
    http::HeadScanner scanner;
    scanner.reset(http::HeadKind::request);
    const auto outcome = scanner.scan(bytes);
    http::Parser parser;
    benchmark::DoNotOptimize(parser.parse_request({bytes.data(), outcome.end}, *head));
    http::drop_request_fields(*head, {});
    http::Writer writer{out};
    http::write_request_head(writer, *head,
                             {.forwarding = {.peer = "10.1.2.3"},
                              .request_id = "0123456789abcdef0123456789abcdef",
                              .traceparent = ""});
    benchmark::DoNotOptimize(writer.size());
  });
}
BENCHMARK(request_head_from_bytes_to_upstream_head);

void response_head_from_bytes_to_downstream_head(benchmark::State& state) {
  auto head = std::make_unique<http::ResponseHead>();
  std::string bytes = response;
  std::array<std::byte, 4096> out;
  measure(state, [&] {
    http::HeadScanner scanner;
    scanner.reset(http::HeadKind::response);
    const auto outcome = scanner.scan(bytes);
    http::Parser parser;
    benchmark::DoNotOptimize(
        parser.parse_response({bytes.data(), outcome.end}, http::Method::get, *head));
    http::drop_response_fields(*head, http::Framing::length);
    http::Writer writer{out};
    http::write_response_head(
        writer, *head,
        {.framing = head->framing, .request_id = "0123456789abcdef0123456789abcdef"});
    benchmark::DoNotOptimize(writer.size());
  });
}
BENCHMARK(response_head_from_bytes_to_downstream_head);

// Keys of one provider, and a token for them, from the Authorization field to the principal.
class TokenBench {
 public:
  explicit TokenBench(auth::Algorithm algorithm) {
    providers_[0].algorithms = {algorithm};
    auth::SigningKey key = auth::signing_secret("a-secret-of-thirty-two-bytes-or-so");
    if (auth::family(algorithm) == auth::Family::hmac) {
      snapshot_.keys = {{auth::make_secret_key(algorithm, key.secret)}};
    } else {
      auto made = auth::generate_signing_key(algorithm, "k", 2048);
      key = std::move(std::get<auth::SigningKey>(made));
      auto read = auth::make_pem_key(auth::to_public_pem(key), providers_[0].algorithms, "k");
      snapshot_.keys = {{std::get<auth::SharedKey>(read)}};
    }
    snapshot_.api_keys.resize(1);
    const std::string token = auth::mint({.key = &key,
                                          .subject = "alice",
                                          .issued_at = now,
                                          .expires = now + std::chrono::hours{1},
                                          .claims = {{"pad", std::string(181, 'x')}}});
    bytes_ = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n";
    http::Parser parser;
    static_cast<void>(parser.parse_request({bytes_.data(), bytes_.size()}, head_));
    signed_text_ = token.substr(0, token.rfind('.'));
    signature_ = auth::sign(key, signed_text_);
  }
  auth::Authenticator& authenticator() {
    if (authenticator_ == nullptr) {
      authenticator_ = std::make_unique<auth::Authenticator>(
          auth::AuthenticatorOptions{.verifier = {.providers = providers_, .claims = claims_}});
      authenticator_->adopt(snapshot_);
    }
    return *authenticator_;
  }
  [[nodiscard]] const http::RequestHead& head() const { return head_; }
  [[nodiscard]] const auth::Key& key() const { return *snapshot_.keys[0][0]; }
  [[nodiscard]] const std::string& signed_text() const { return signed_text_; }
  [[nodiscard]] const std::vector<unsigned char>& signature() const { return signature_; }
  [[nodiscard]] auth::Acceptance acceptance() const { return {1, sources_}; }
  static constexpr auth::EpochSeconds now{std::chrono::seconds{1'700'000'000}};

 private:
  std::array<auth::Provider, 1> providers_;
  std::array<std::string, 1> claims_{"sub"};
  std::array<auth::TokenSource, 1> sources_{};
  auth::KeySnapshot snapshot_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  std::string bytes_;
  std::string signed_text_;
  std::vector<unsigned char> signature_;
  http::RequestHead head_;
};

void token_cached(benchmark::State& state) {
  TokenBench bench{auth::Algorithm::hs256};
  auth::Authenticator& authenticator = bench.authenticator();
  auth::Attempt attempt;
  static_cast<void>(
      authenticator.look_up(bench.acceptance(), bench.head().fields, {}, TokenBench::now, attempt));
  static_cast<void>(authenticator.verify(bench.acceptance(), TokenBench::now, attempt));
  measure(state, [&] {
    benchmark::DoNotOptimize(authenticator.look_up(bench.acceptance(), bench.head().fields, {},
                                                   TokenBench::now, attempt));
  });
  if (attempt.examined.refusal != auth::Refusal::none) state.SkipWithError("refused");
}
BENCHMARK(token_cached);

// The whole way of a token that is not remembered, beside OpenSSL's verification of the same
// signature alone.
void token_verified(benchmark::State& state, auth::Algorithm algorithm) {
  TokenBench bench{algorithm};
  auth::Authenticator& authenticator = bench.authenticator();
  auth::Attempt attempt;
  auth::EpochSeconds now = TokenBench::now;
  measure(state, [&] {
    static_cast<void>(
        authenticator.look_up(bench.acceptance(), bench.head().fields, {}, now, attempt));
    attempt.examined.refusal = auth::Refusal::none;
    auth::TokenVerifier& verifier = authenticator.verifier();
    verifier.examine(attempt.token, 1, now, attempt.examined);
    verifier.check_signature(attempt.examined);
  });
  if (attempt.examined.refusal != auth::Refusal::none) state.SkipWithError("refused");
}
void openssl_verify(benchmark::State& state, auth::Algorithm algorithm) {
  TokenBench bench{algorithm};
  auth::SignatureChecker checker{bench.key()};
  measure(state, [&] {
    benchmark::DoNotOptimize(checker.verify(bench.signed_text(), bench.signature()));
  });
}
BENCHMARK_CAPTURE(token_verified, hs256, auth::Algorithm::hs256);
BENCHMARK_CAPTURE(openssl_verify, hs256, auth::Algorithm::hs256);
BENCHMARK_CAPTURE(token_verified, rs256, auth::Algorithm::rs256);
BENCHMARK_CAPTURE(openssl_verify, rs256, auth::Algorithm::rs256);
BENCHMARK_CAPTURE(token_verified, es256, auth::Algorithm::es256);
BENCHMARK_CAPTURE(openssl_verify, es256, auth::Algorithm::es256);
BENCHMARK_CAPTURE(token_verified, eddsa, auth::Algorithm::eddsa);
BENCHMARK_CAPTURE(openssl_verify, eddsa, auth::Algorithm::eddsa);

// From address to verdict, over keys that are all live. The address is chosen at random: with many
// keys nothing is in cache.
void limit_check(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  const limiter::Limit limit{
      .policy = {.rate = {1, 86'400'000'000'000}, .burst = 30'000, .delay = 30'000}};
  limiter::Shard shard{keys, {&limit, 1}};
  const limiter::Ownership ownership{1, {.owners = 99}};
  const auto ask = [&](uint64_t address, core::Instant now) {
    limiter::KeyHash key = ownership.key(7);
    key.add(limiter::Network{address, false});
    const limiter::Claim claim = key.claim(0);
    return shard.visit(limiter::Visit::decide, {&claim, 1}, {}, now);
  };
  core::Instant now{std::chrono::seconds{1}};
  for (uint64_t address = 0; address < keys; ++address) static_cast<void>(ask(address, now));
  uint64_t random = 0;
  measure(state, [&] {
    random = random * 6364136223846793005 + 1442695040888963407;
    now += core::Duration{100};
    benchmark::DoNotOptimize(ask((random >> 32) % keys, now));
  });
}
BENCHMARK(limit_check)->ArgName("keys")->Arg(100)->Arg(1'000'000)->Arg(10'000'000);

// A flood: every key is new, and as many are live as there is room for.
void limit_check_of_new_keys(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  const limiter::Limit limit{.policy = {.rate = {1, keys * 100 * 9 / 10}, .burst = 0}};
  limiter::Shard shard{keys, {&limit, 1}};
  core::Random random{3};
  core::Instant now{std::chrono::seconds{1}};
  measure(state, [&] {
    now += core::Duration{100};
    const limiter::Claim claim{.hash = random.next() | 1};
    benchmark::DoNotOptimize(shard.visit(limiter::Visit::decide, {&claim, 1}, {}, now));
  });
}
BENCHMARK(limit_check_of_new_keys)->ArgName("keys")->Arg(1'000'000);

// A look-up among so many routes, by host and path of three segments; each time another one.
void route_found(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  std::vector<config::Route> routes;
  for (size_t number = 0; number < count; ++number) {
    const std::string text = std::to_string(number);
    routes.push_back({.match = {.host = "h" + std::to_string(number % 50) + ".api.example",
                                .path = "/v1/service" + text}});
  }
  const config::RouteTable table{routes};
  std::vector<std::pair<std::string, std::string>> asked;
  core::Random random{7};
  for (size_t number = 0; number < 4096; ++number) {
    const uint64_t which = random.below(count);
    asked.emplace_back("h" + std::to_string(which % 50) + ".api.example",
                       "/v1/service" + std::to_string(which) + "/orders/12345");
  }
  const http::Fields fields{};
  size_t at = 0;
  measure(state, [&] {
    const auto& [host, path] = asked[++at % asked.size()];
    const config::Found found = table.find(http::Method::get, host, path, "", fields);
    if (found.route == config::no_route) state.SkipWithError("not found");
  });
}
BENCHMARK(route_found)->ArgName("routes")->Arg(10)->Arg(10'000);

void endpoint_chosen(benchmark::State& state) {
  const auto record = std::make_shared<gateway::Upstream>("u", 1, 0);
  config::UpstreamConfig config{.balance = static_cast<config::Balance>(state.range(0))};
  std::vector<std::unique_ptr<gateway::Endpoint>> endpoints;
  for (uint16_t number = 0; number < 8; ++number) {
    config.endpoints.push_back({.authority = std::to_string(number),
                                .destination = core::SocketAddress::ipv4(0x7f000001, number)});
    endpoints.push_back(
        std::make_unique<gateway::Endpoint>(record, config.endpoints.back(), number));
  }
  proxy::UpstreamPlan plan{config, *record->cores[0]};
  for (size_t number = 0; number < endpoints.size(); ++number)
    plan.add(*endpoints[number]->cores[0], config.endpoints[number]);
  plan.complete();
  core::Random random{7};
  measure(state, [&] {
    benchmark::DoNotOptimize(plan.choose(core::Instant{}, random, random.next(), nullptr));
  });
}
BENCHMARK(endpoint_chosen)->ArgName("balance")->Arg(0)->Arg(1)->Arg(2);

void timer_armed_and_disarmed(benchmark::State& state) {
  core::TimerWheel wheel{core::Instant{}};
  core::Timer timer;
  measure(state, [&] {
    wheel.arm(timer, core::Instant{std::chrono::seconds{60}});
    wheel.disarm(timer);
  });
}
BENCHMARK(timer_armed_and_disarmed);

void access_log_line(benchmark::State& state) {
  metrics::LineFormatter formatter;
  std::array<char, metrics::line_bytes_max> out;
  const metrics::AccessRecord record{
      .finished_at = core::WallTime{std::chrono::seconds{1'700'000'000}},
      .request_id = "0123456789abcdef0123456789abcdef",
      .method = "GET",
      .path = "/api/orders/12345",
      .status = 200,
      .reason = "-",
      .route = "default",
      .endpoint = "10.0.0.1:9001",
      .client = "10.1.2.3",
      .principal = "alice",
      .latency = core::Duration{1'234'567}};
  measure(state, [&] { benchmark::DoNotOptimize(formatter.format(record, out)); });
}
BENCHMARK(access_log_line);

}  // namespace

BENCHMARK_MAIN();
