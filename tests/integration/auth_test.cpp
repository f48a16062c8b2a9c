// Authentication as its users meet it: every kind of key, rotation under load, rules, and what the
// endpoint is told.
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "auth/authenticator.h"
#include "auth/jwks.h"
#include "tests/integration/fixture.h"

namespace sluice {
namespace {

using auth::Algorithm;
using auth::SigningKey;

std::string plain(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + "\r\n";
}
std::string bearer(const std::string& text) { return "Authorization: Bearer " + text + "\r\n"; }
unsigned status_of(const std::string& answer) {
  return answer.size() < 12 ? 0 : static_cast<unsigned>(std::stoul(answer.substr(9, 3)));
}

SigningKey make_key(Algorithm algorithm, const std::string& kid) {
  auto made = auth::generate_signing_key(algorithm, kid, 2048);
  return std::move(std::get<SigningKey>(made));
}
std::string mint(const SigningKey& key, const std::string& more = "",
                 const std::string& subject = "alice") {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return auth::mint({.key = &key,
                     .subject = subject,
                     .issued_at = now,
                     .expires = now + std::chrono::hours{1},
                     .more = more});
}
std::string key_set(std::initializer_list<const SigningKey*> keys) {
  std::string entries;
  for (const SigningKey* key : keys)
    entries +=
        (entries.empty() ? "" : ",") + auth::to_jwk(key->algorithm, key->pkey.get(), key->kid);
  return "{\"keys\":[" + entries + "]}";
}

class AuthTest : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    folder_ =
        std::filesystem::temp_directory_path() / ("sluice-auth-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    GatewayTest::TearDown();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }
  // Whole or not at all, as whoever rotates keys should.
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream{path(name + ".new")} << text;
    std::filesystem::rename(path(name + ".new"), path(name));
    return path(name);
  }
  std::string config(const std::string& auth, const std::string& route = "auth: main",
                     const std::string& more = "") {
    return "auth:\n" + auth + "\nupstreams: { service: { endpoints: [UPSTREAM] } }\nroutes: [ { " +
           route + ", upstream: service } ]\n" + more;
  }
  // Until the keeper has published `changes` sets.
  void wait_for_changes(uint64_t changes) {
    while (metric("gateway_keys_changes_total") < changes) {
    }
  }
  std::filesystem::path folder_;
};

TEST_F(AuthTest, keys_of_every_kind_verify_and_slow_ones_on_another_thread) {
  const SigningKey keys[] = {make_key(Algorithm::rs256, "a"), make_key(Algorithm::ps512, "b"),
                             make_key(Algorithm::es256, "c"), make_key(Algorithm::es384, "d"),
                             make_key(Algorithm::es512, "e"), make_key(Algorithm::eddsa, "f")};
  const std::string file =
      write("keys.json", key_set({&keys[0], &keys[1], &keys[2], &keys[3], &keys[4], &keys[5]}));
  start(config("  main: { jwks: { file: " + file +
               " }, algorithms: [RS256, PS512, ES256, ES384, ES512, EdDSA] }"));
  for (const SigningKey& key : keys) {
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(status_of(ask(plain("/", bearer(mint(key))))), 200U) << to_string(key.algorithm);
    std::string forged = mint(key);
    forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
    EXPECT_EQ(status_of(ask(plain("/", bearer(forged)))), 401U);
  }
  EXPECT_GT(metric("gateway_offload_jobs_total"), 5U) << "P-384 and P-521 take too long for a core";
}

TEST_F(AuthTest, rotation_under_load_makes_no_wrong_answer) {
  config_.bounds.requests_per_connection = UINT32_MAX;
  SigningKey present = make_key(Algorithm::es256, "k0");
  const std::string file = write("keys.json", key_set({&present}));
  start(config("  main: { jwks: { file: " + file + " }, algorithms: [ES256] }"));
  std::mutex mutex;
  std::string current = mint(present);
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> good{0}, bad{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&] {
      Connection connection{gateway_->port()};
      while (!stopping) {
        std::string text;
        {
          const std::lock_guard lock{mutex};
          text = current;
        }
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n" + bearer(text) + "\r\n");
        (status_of(connection.read_until("Hello, world!")) == 200 ? good : bad) += 1;
      }
    });
  }
  uint64_t changes = 1;
  for (int round = 1; round <= 12; ++round) {
    SigningKey next = make_key(Algorithm::es256, "k" + std::to_string(round));
    write("keys.json", key_set({&present, &next}));
    // The issuer signs with the new key at once; no core can have heard of it yet.
    {
      const std::lock_guard lock{mutex};
      current = mint(next);
    }
    wait_for_changes(++changes);
    const uint64_t seen = good;
    while (good < seen + 10 && bad == 0) {
    }
    const std::string old = mint(present);
    EXPECT_EQ(status_of(ask(plain("/", bearer(old)))), 200U);
    write("keys.json", key_set({&next}));
    wait_for_changes(++changes);
    while (status_of(ask(plain("/", bearer(old)))) != 401) {  // on whichever core it lands
    }
    present = std::move(next);
  }
  stopping = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(bad, 0U);
  EXPECT_GT(good, 100U);
}

TEST_F(AuthTest, broken_key_file_changes_nothing_and_is_reported) {
  const SigningKey key = make_key(Algorithm::eddsa, "k");
  const std::string file = write("keys.json", key_set({&key}));
  start(config("  main: { jwks: { file: " + file + " }, algorithms: [EdDSA] }"));
  write("keys.json", "<html>maintenance</html>");
  std::vector<std::string> notices;
  while (notices.empty()) notices = gateway_->take_notices();
  EXPECT_NE(notices.front().find("keys.json: this is no JSON; it looks like a web page; what was "
                                 "good before stays in use"),
            std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/", bearer(mint(key))))), 200U);
  EXPECT_EQ(metric("gateway_keys_failures_total"), 1U);
}

TEST_F(AuthTest, revocation_holds_on_all_cores_at_once) {
  const std::string file = write("revoked", "");
  start(config("  main: { secret: { env: GATEWAY_TEST_SECRET } }", "auth: main",
               "revoked: { file: " + file + " }\n"));
  const std::string stolen = auth::mint(
      {.secret = secret,
       .subject = "alice",
       .issued_at = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()),
       .expires = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) +
                  std::chrono::hours{1},
       .claims = {{"jti", "stolen"}}});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(status_of(ask(plain("/", bearer(stolen)))), 200U);
  const auto begin = std::chrono::steady_clock::now();
  write("revoked", "jti stolen\n");
  wait_for_changes(2);
  // Both workers: connections are spread, so some of many land on each.
  for (int i = 0; i < 20; ++i) {
    while (status_of(ask(plain("/", bearer(stolen)))) != 401 &&
           std::chrono::steady_clock::now() < begin + std::chrono::seconds{5}) {
    }
  }
  EXPECT_NE(ask(plain("/", bearer(stolen))).find("jwt.revoked"), std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/", bearer(token("alice"))))), 200U);
}

TEST_F(AuthTest, claims_reach_the_endpoint_and_nobody_can_forge_them) {
  start(config(R"(  main:
    secret: { env: GATEWAY_TEST_SECRET }
    headers: { X-User: sub, X-Tenant: tenant }
    payload_header: X-Payload
    strip_authorization: true)",
               "auth: { optional: main }"));
  const std::string text = mint(auth::signing_secret(secret), R"("tenant":"acme")");
  const std::string seen = ask(plain(
      "/headers",
      bearer(text) +
          "X-User: root\r\nx-USER: root\r\nX_User: root\r\nX-Payload: e30\r\nX-Other: kept\r\n"));
  EXPECT_NE(seen.find("\r\nX-User: alice\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\r\nX-Tenant: acme\r\n"), std::string::npos);
  EXPECT_NE(
      seen.find("\r\nX-Payload: " +
                text.substr(text.find('.') + 1, text.rfind('.') - text.find('.') - 1) + "\r\n"),
      std::string::npos);
  EXPECT_NE(seen.find("X-Other: kept"), std::string::npos);
  EXPECT_EQ(seen.find("root"), std::string::npos);
  EXPECT_EQ(seen.find("Authorization"), std::string::npos);
  EXPECT_EQ(seen.find(text), std::string::npos);
  // Nor when there is no token at all.
  const std::string nobody =
      ask(plain("/headers", "X-User: root\r\nx-tenant: acme\r\nX-Payload: e30\r\n"));
  EXPECT_EQ(status_of(nobody), 200U);
  EXPECT_EQ(nobody.find("root"), std::string::npos);
  EXPECT_EQ(nobody.find("acme"), std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/headers", bearer("a.b.c")))), 401U)
      << "optional does not mean that a bad one will do";
}

TEST_F(AuthTest, requirements_refuse_with_403) {
  start(R"(
auth: { main: { secret: { env: GATEWAY_TEST_SECRET } } }
upstreams: { service: { endpoints: [UPSTREAM] } }
routes:
  - { match: { path_prefix: /headers }, auth: main, require: { scope: [orders.read], role_any: [admin, staff], claim: { tenant: acme } }, upstream: service }
  - { auth: main, upstream: service }
)");
  const auto asked = [&](const std::string& more) {
    return ask(plain("/headers", bearer(mint(auth::signing_secret(secret), more))));
  };
  const std::string good = R"("scope":"orders.read x","roles":["staff"],"tenant":"acme")";
  EXPECT_EQ(status_of(asked(good)), 200U);
  EXPECT_EQ(status_of(asked(good)), 200U) << "from the cache too";
  const std::string refused = asked(R"("scope":"orders.write","roles":["staff"],"tenant":"acme")");
  EXPECT_EQ(status_of(refused), 403U);
  EXPECT_NE(refused.find("WWW-Authenticate: Bearer realm=\"sluice\", "
                         "error=\"insufficient_scope\", error_description=\"Not met: scope\"\r\n"),
            std::string::npos)
      << refused;
  EXPECT_NE(refused.find("\"code\":\"auth.forbidden\""), std::string::npos);
  // The first that is not met is named, and its value is nobody's business.
  const std::pair<const char*, const char*> table[] = {
      {R"("scope":"orders.write","roles":["staff"],"tenant":"acme")", "scope"},
      {R"("scope":"orders.read","roles":["guest"],"tenant":"acme")", "role_any"},
      {R"("scope":"orders.read","roles":["admin"],"tenant":"other")", "claim tenant"},
      {R"("roles":["guest"])", "scope"}};
  for (const auto& [claims, unmet] : table) {
    for (int round = 0; round < 2; ++round) {  // verified, and remembered
      const std::string answer = asked(claims);
      EXPECT_EQ(status_of(answer), 403U);
      EXPECT_NE(
          answer.find(std::string{" Not met: "} + unmet + ".\",\"requirement\":\"" + unmet + "\"}"),
          std::string::npos)
          << answer;
      for (const char* value : {"orders.read", "staff", "acme"})
        EXPECT_EQ(answer.find(value), std::string::npos) << answer;
    }
  }
  EXPECT_EQ(status_of(ask(plain("/", bearer(token())))), 200U);
}

TEST_F(AuthTest, token_in_the_query_goes_no_further_and_into_no_log) {
  const std::string log = path("access.log");
  config_.log_path = log;
  start(
      config("  main: { secret: { env: GATEWAY_TEST_SECRET }, token_from: [header, { query: token "
             "}, { cookie: session }] }"));
  const std::string text = token();
  for (const char* form : {"/headers?token=%", "/headers?a=1&token=%", "/headers?token=%&b=2",
                           "/headers?a=1&token=%&b=2"}) {
    std::string target = form;
    target.replace(target.find('%'), 1, text);
    const std::string seen = ask(plain(target));
    EXPECT_EQ(status_of(seen), 200U);
    EXPECT_EQ(seen.find(text), std::string::npos) << seen;
    EXPECT_EQ(seen.find("token"), std::string::npos) << seen;
    for (const char* kept : {"a=1", "b=2"})
      EXPECT_EQ(target.find(kept) != std::string::npos, seen.find(kept) != std::string::npos)
          << seen;
  }
  EXPECT_NE(ask(plain("/headers?a=1&b=2", "Cookie: session=" + text + "\r\n"))
                .find("GET /headers?a=1&b=2 HTTP/1.1"),
            std::string::npos);
  const std::string both = ask(plain("/?token=" + text, bearer(text)));
  EXPECT_EQ(status_of(both), 401U);
  EXPECT_NE(both.find("jwt.several"), std::string::npos);
  gateway_->stop();
  gateway_.reset();
  std::ifstream file{log};
  const std::string lines{std::istreambuf_iterator<char>{file}, {}};
  EXPECT_NE(lines.find("/headers"), std::string::npos);
  EXPECT_EQ(lines.find(text.substr(0, 20)), std::string::npos);
}

TEST_F(AuthTest, api_keys_are_callers_like_any_other) {
  auth::ApiKey key{.id = "ci", .salt = {9, 9}, .subject = "builder"};
  const auto hash = auth::hash_api_secret(key.salt, "the-secret");
  std::string hex;
  for (const auto& bytes :
       {std::span<const unsigned char>{key.salt}, std::span<const unsigned char>{hash}}) {
    for (const unsigned char byte : bytes) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x", byte);
      hex += digits;
    }
    hex += ' ';
  }
  const std::string file = write("keys.txt", "# keys of machines\nci " + hex + "builder\n");
  start(config("  machines: { keys: { file: " + file +
                   ", header: X-Key }, headers: { X-User: sub }, strip_authorization: true }\n"
                   "  main: { secret: { env: GATEWAY_TEST_SECRET } }",
               "auth: [machines, main], limits: per_caller",
               "limits: { per_caller: { key: \"claim:sub\", rate: 1/h, burst: 1, delay: 1 } }\n"));
  const std::string seen = ask(plain("/headers", "X-Key: ci.the-secret\r\n"));
  EXPECT_NE(seen.find("\r\nX-User: builder\r\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("the-secret"), std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/", "x-key: ci.the-secret\r\n"))), 200U);
  EXPECT_EQ(status_of(ask(plain("/", "X-Key: ci.the-secret\r\n"))), 429U)
      << "limits by claim hold for keys as well";
  EXPECT_NE(ask(plain("/", "X-Key: ci.another\r\n")).find("key.unknown"), std::string::npos);
  EXPECT_NE(ask(plain("/", "X-Key: ci.the-secret\r\n" + bearer(token()))).find("jwt.several"),
            std::string::npos);
  EXPECT_EQ(status_of(ask(plain("/", bearer(token())))), 200U);
}

TEST_F(AuthTest, route_of_keys_asks_for_a_key_and_names_its_field) {
  const std::string file = write("keys.txt", "# none yet\n");
  start(R"(
auth:
  machines: { keys: { file: )" +
        file + R"(, header: X-Key } }
  main: { secret: { env: GATEWAY_TEST_SECRET } }
upstreams: { service: { endpoints: [UPSTREAM] } }
routes:
  - { match: { path: /keys }, auth: machines, upstream: service }
  - { match: { path: /both }, auth: [machines, main], upstream: service }
)");
  const char* key = "WWW-Authenticate: ApiKey realm=\"sluice\", field=\"X-Key\"\r\n";
  const char* token = "WWW-Authenticate: Bearer realm=\"sluice\"\r\n";
  const auto has = [](const std::string& answer, const std::string& part) {
    return answer.find(part) != std::string::npos;
  };
  const std::string missing = ask(plain("/keys"));
  EXPECT_EQ(status_of(missing), 401U);
  EXPECT_TRUE(has(missing, "\"code\":\"key.missing\"") && has(missing, key)) << missing;
  EXPECT_TRUE(has(missing, "Its field is X-Key.")) << missing;
  EXPECT_FALSE(has(missing, "Bearer")) << missing;
  const std::string wrong = ask(plain("/keys", "X-Key: a.b\r\n"));
  EXPECT_TRUE(has(wrong, "\"code\":\"key.unknown\"") && has(wrong, key)) << wrong;
  EXPECT_FALSE(has(wrong, "Bearer")) << wrong;
  const std::string both = ask(plain("/both"));
  EXPECT_TRUE(has(both, "\"code\":\"jwt.missing\"") && has(both, key) && has(both, token)) << both;
  const std::string unknown = ask(plain("/both", "X-Key: a.b\r\n"));
  EXPECT_TRUE(has(unknown, key) && has(unknown, token)) << unknown << "no token was wrong";
}

TEST_F(AuthTest, users_of_a_file_are_let_in_by_password_as_long_as_they_stand_there) {
  // "open sesame", as htpasswd -nbBC 4 made it.
  const std::string alice = "alice:$2y$04$Y0SXKRcDIks7xpbQQFjtpurs.wR8HQU0ESO9o1WN/sAWjIkjaI3va\n";
  const std::string file = write("users", alice);
  start(R"(
auth:
  people: { basic: { file: )" +
        file + R"(, realm: Staff }, headers: { X-User: sub }, strip_authorization: true }
  main: { secret: { env: GATEWAY_TEST_SECRET } }
failed_tokens: { rate: 1/h, burst: 2 }
upstreams: { service: { endpoints: [UPSTREAM] } }
routes:
  - { match: { path_prefix: / }, auth: people, upstream: service }
  - { match: { path: /both }, auth: [main, people], upstream: service }
)");
  const auto has = [](const std::string& answer, const std::string& part) {
    return answer.find(part) != std::string::npos;
  };
  const std::string good = "Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\n";
  const std::string seen = ask(plain("/headers", good));
  EXPECT_EQ(status_of(seen), 200U) << seen;
  EXPECT_TRUE(has(seen, "\r\nX-User: alice\r\n")) << seen;
  EXPECT_FALSE(has(seen, "YWxpY2U6")) << seen;
  const std::string challenge = "WWW-Authenticate: Basic realm=\"Staff\", charset=\"UTF-8\"\r\n";
  for (const std::string& nothing : {std::string{}, bearer(token())}) {
    const std::string missing = ask(plain("/", nothing));
    EXPECT_TRUE(has(missing, "\"code\":\"basic.missing\"") && has(missing, challenge)) << missing;
    EXPECT_FALSE(has(missing, "Bearer")) << missing;
  }
  EXPECT_TRUE(has(ask(plain("/", "Authorization: Basic x\r\n")), "\"code\":\"basic.malformed\""));
  const std::string both = ask(plain("/both"));
  EXPECT_TRUE(has(both, challenge) && has(both, "WWW-Authenticate: Bearer realm")) << both;
  EXPECT_EQ(status_of(ask(plain("/both", good))), 404U) << "the service has no such page";
  EXPECT_EQ(status_of(ask(plain("/both", bearer(token())))), 404U);
  // Nobody tries for ever: each other wrong password costs a look.
  const std::string wrong = ask(plain("/", "Authorization: Basic YWxpY2U6eA==\r\n"));  // alice:x
  EXPECT_TRUE(has(wrong, "\"code\":\"basic.wrong\"") && has(wrong, challenge)) << wrong;
  for (const char* other : {"Ym9iOng=", "Ym9iOnk=", "Ym9iOno=", "Ym9iOjE=", "Ym9iOjI=", "Ym9iOjM="})
    static_cast<void>(ask(plain("/", std::string{"Authorization: Basic "} + other + "\r\n")));
  EXPECT_EQ(status_of(ask(plain("/", "Authorization: Basic YWxpY2U6eQ==\r\n"))), 429U);
  EXPECT_EQ(status_of(ask(plain("/headers", good))), 200U) << "who is known is not affected";
  // The file is read again, and what was remembered is forgotten.
  write("users", "# nobody any more\n");
  while (status_of(ask(plain("/headers", good))) == 200U) {
  }
}

TEST_F(AuthTest, flood_of_forged_tokens_costs_its_sender_the_right_to_more) {
  const SigningKey key = make_key(Algorithm::es384, "k");
  const std::string file = write("keys.json", key_set({&key}));
  start(config("  main: { jwks: { file: " + file + " }, algorithms: [ES384] }", "auth: main",
               "failed_tokens: { rate: 1/h, burst: 5 }\n"));
  const std::string good = mint(key);
  EXPECT_EQ(status_of(ask(plain("/", bearer(good)), 0x7f000007)), 200U);
  unsigned refused = 0, flooded = 0;
  std::string last;
  for (int i = 0; i < 30; ++i) {
    std::string forged = mint(key, R"("n":)" + std::to_string(i));
    forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
    last = ask(plain("/", bearer(forged)), 0x7f000007);
    (status_of(last) == 401 ? refused : flooded) += 1;
  }
  EXPECT_GE(refused, 6U);
  EXPECT_LE(refused, 12U) << "six on each of two cores";
  EXPECT_EQ(refused + flooded, 30U);
  EXPECT_EQ(status_of(last), 429U);
  EXPECT_NE(last.find("\"code\":\"jwt.flood\""), std::string::npos);
  EXPECT_NE(last.find("Retry-After: "), std::string::npos);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(status_of(ask(plain("/", bearer(mint(key))), 0x7f000008)), 200U)
        << "others are served";
}

// --- key sets behind a URL -------------------------------------------------------------------

// Answers every request with what it is told to.
class KeyServer {
 public:
  KeyServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = core::SocketAddress::ipv4(0x7f000001, 0);
    ::bind(listener_, address.data(), address.size());
    ::listen(listener_, 16);
    core::SocketAddress bound;
    socklen_t size = core::SocketAddress::capacity;
    ::getsockname(listener_, bound.data(), &size);
    port_ = bound.port();
    thread_ = std::thread{[this] { run(); }};
  }
  ~KeyServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  void answer(const std::string& status, const std::string& body, const std::string& fields = "") {
    const std::lock_guard lock{mutex_};
    answer_ = "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\nConnection: close\r\n" + fields + "\r\n" + body;
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/keys";
  }
  [[nodiscard]] unsigned asked() const { return asked_; }

 private:
  void run() {
    while (true) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) return;
      std::string head;
      std::array<char, 4096> piece;
      while (head.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(socket, piece.data(), piece.size(), 0);
        if (got <= 0) break;
        head.append(piece.data(), static_cast<size_t>(got));
      }
      ++asked_;
      {
        const std::lock_guard lock{mutex_};
        ::send(socket, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      }
      ::close(socket);
    }
  }
  int listener_;
  uint16_t port_ = 0;
  std::atomic<unsigned> asked_{0};
  std::mutex mutex_;
  std::string answer_;
  std::thread thread_;
};

TEST_F(AuthTest, key_set_is_fetched_and_fetched_again_for_an_unknown_kid_but_not_too_often) {
  KeyServer server;
  const SigningKey first = make_key(Algorithm::eddsa, "one"),
                   second = make_key(Algorithm::eddsa, "two"),
                   third = make_key(Algorithm::eddsa, "three");
  server.answer("200 OK", key_set({&first}), "Cache-Control: public, max-age=3600\r\n");
  const std::string copy = path("copy.json");
  start(config("  main: { jwks: { url: \"" + server.url() + "\", copy: " + copy +
               " }, algorithms: [EdDSA] }"));
  EXPECT_EQ(server.asked(), 1U);
  EXPECT_EQ(status_of(ask(plain("/", bearer(mint(first))))), 200U);
  EXPECT_TRUE(std::filesystem::exists(copy));
  // Within the cooldown after the first fetch nobody is asked again, however many unknown keys are
  // named.
  server.answer("200 OK", key_set({&first, &second}));
  for (int i = 0; i < 5; ++i)
    EXPECT_NE(ask(plain("/", bearer(mint(second, R"("n":)" + std::to_string(i)))))
                  .find("jwt.unknown_key"),
              std::string::npos);
  EXPECT_EQ(server.asked(), 1U);
  EXPECT_EQ(status_of(ask(plain("/", bearer(mint(first))))), 200U);
  EXPECT_EQ(status_of(ask(plain("/", bearer(mint(third))))), 401U);
}

TEST_F(AuthTest, cold_start_without_the_issuer_uses_the_copy_of_an_earlier_run_or_says_503) {
  const SigningKey key = make_key(Algorithm::eddsa, "one");
  const std::string copy = write("copy.json", key_set({&key}));
  KeyServer server;
  server.answer("500 Internal Server Error", "");
  start(config("  main: { jwks: { url: \"" + server.url() + "\", copy: " + copy +
                   " }, algorithms: [EdDSA] }\n"
                   "  other: { issuer: other, jwks: { url: \"" +
                   server.url() + "/other\" }, algorithms: [EdDSA] }",
               "auth: [main, other]"));
  EXPECT_EQ(status_of(ask(plain("/", bearer(mint(key))))), 200U);
  const std::string refused = ask(plain("/", bearer(mint(key, R"("iss":"other")"))));
  EXPECT_EQ(status_of(refused), 503U);
  EXPECT_NE(refused.find("jwt.no_keys"), std::string::npos);
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
  std::string all;
  for (const std::string& notice : gateway_->take_notices()) all += notice + "\n";
  EXPECT_NE(all.find("the answer is 500"), std::string::npos) << all;
  EXPECT_NE(all.find("using the keys of an earlier run"), std::string::npos) << all;
}

TEST_F(AuthTest, what_cannot_be_used_stops_the_start_and_says_why) {
  KeyServer server;
  const auto refusal = [&](const std::string& entry) {
    ::setenv("GATEWAY_TEST_SECRET", std::string{secret}.c_str(), 1);
    config::ConfigReading reading = config::read_config_text(
        "test.yaml", "auth: { main: " + entry +
                         " }\nlisten: 127.0.0.1:0\nupstreams: { a: { endpoints: "
                         "[http://127.0.0.1:1] } }\nroutes: "
                         "[ { auth: main, upstream: a } ]\nlog: none\nsandbox: off\n");
    if (!reading.config) return reading.complaints.front();
    gateway::Gateway gateway{*reading.config};
    const auto failure = gateway.start();
    return failure ? failure->text : std::string{"it started"};
  };
  server.answer("200 OK", "<!DOCTYPE html><title>Sign in</title>");
  EXPECT_NE(refusal("{ jwks: { url: \"" + server.url() + "\" }, algorithms: [ES256] }")
                .find("this is no JSON; it looks like a web page"),
            std::string::npos);
  server.answer("200 OK",
                R"({"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB","alg":"RS256"}]})");
  EXPECT_NE(refusal("{ jwks: { url: \"" + server.url() + "\" }, algorithms: [RS256] }")
                .find("key 1 (kid \"r\"): an RSA key of 17 bits"),
            std::string::npos);
  EXPECT_NE(refusal("{ jwks: { file: /no/such/keys.json }, algorithms: [ES256] }")
                .find("/no/such/keys.json: this file can't be read"),
            std::string::npos);
  EXPECT_NE(refusal("{ jwks: { url: \"http://id.example/keys\" }, algorithms: [ES256] }")
                .find("keys that come over http can be anybody's"),
            std::string::npos);
  EXPECT_NE(
      refusal("{ pem: " + write("private.pem", to_private_pem(make_key(Algorithm::es256, ""))) +
              ", algorithms: [ES256] }")
          .find("private.pem: a private key"),
      std::string::npos);
  EXPECT_NE(refusal("{ keys: { file: " + write("keys.txt", "ci abc\n") + " } }")
                .find("keys.txt: line 1: write ID SALT HASH SUBJECT"),
            std::string::npos);
  const std::string open = write("secret", "a secret that everybody can read, and is long enough");
  ::chmod(open.c_str(), 0644);
  EXPECT_EQ(refusal("{ secret: { file: " + open + " } }"), "it started") << "with a warning";
  const auto strict = refusal("{ secret: { file: " + open + " }, strict_keys: true }");
  EXPECT_NE(strict.find("everybody may read " + open), std::string::npos) << strict;
  EXPECT_NE(strict.find("defaultMode: 0400"), std::string::npos) << strict;
  ::chmod(open.c_str(), 0602);
  EXPECT_NE(refusal("{ secret: { file: " + open + " } }").find("everybody may write this file"),
            std::string::npos);
  ::chmod(open.c_str(), 0600);
  EXPECT_EQ(refusal("{ secret: { file: " + open + " } }"), "it started");
  EXPECT_NE(refusal("{ secret: { env: GATEWAY_TEST_SECRET }, strict_keys: true }")
                .find("HS256 wants 32 or more"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice
