// When key sets behind URLs are fetched, and what stays in use when they are not to be had: in
// made-up time, over a made-up network.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "auth/jwks.h"
#include "auth/mint.h"
#include "gateway/discovery.h"
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
                                        [this](const FetchRequest& request) {
                                          ++fetched_;
                                          asked_.push_back(request);
                                          if (const auto found = answers_.find(request.url);
                                              found != answers_.end())
                                            return found->second;
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
  std::map<std::string, Fetched> answers_;  // by URL; any other gets answer_
  std::vector<FetchRequest> asked_;
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

// --- files -----------------------------------------------------------------------------------

class KeyFilesTest : public ::testing::Test {
 protected:
  KeyFilesTest() : folder_(::testing::TempDir() + "keys-" + std::to_string(::getpid())) {
    std::filesystem::create_directory(folder_);
    config_.auth.emplace_back();
    config_.revocations_file = path("revoked");
    write("revoked", "sub mallory\n");
  }
  ~KeyFilesTest() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    std::ofstream{path(name), std::ios::trunc} << text;
    ::chmod(path(name).c_str(), mode);
  }
  KeyKeeper& keeper() {
    if (keeper_ == nullptr)
      keeper_ =
          std::make_unique<KeyKeeper>(config_, KeyKeeper::World{.now = [this] { return now_; }});
    return *keeper_;
  }
  bool look_after(std::chrono::milliseconds time) {
    now_ += time;
    return keeper().look(KeyKeeper::Reason::time);
  }
  [[nodiscard]] bool is_revoked(const std::string& subject) {
    return keeper().snapshot().revocations.is_revoked("", subject, std::nullopt);
  }
  std::string notices() {
    std::string all;
    for (const std::string& notice : keeper().take_notices()) all += notice + "\n";
    return all;
  }

  std::string folder_;
  config::Config config_;
  KeyKeeper::Clock::time_point now_{seconds{1'000'000}};
  std::unique_ptr<KeyKeeper> keeper_;
};

TEST_F(KeyFilesTest, file_that_is_rewritten_in_place_is_not_believed_half_written) {
  ASSERT_TRUE(keeper().load().empty());
  EXPECT_TRUE(is_revoked("mallory"));
  // Emptied, then written by and by: at no time is anybody forgotten.
  for (const char* text : {"", "sub tr", "sub trudy\n", "sub trudy\nsub mal"}) {
    write("revoked", text);
    EXPECT_FALSE(look_after(std::chrono::milliseconds{200})) << text;
    EXPECT_TRUE(is_revoked("mallory")) << text;
  }
  write("revoked", "sub trudy\nsub mallory\n");
  EXPECT_FALSE(look_after(std::chrono::milliseconds{200}));
  EXPECT_FALSE(look_after(std::chrono::milliseconds{900}));
  EXPECT_TRUE(look_after(std::chrono::milliseconds{200})) << "a second without a change";
  EXPECT_TRUE(is_revoked("trudy"));
  EXPECT_TRUE(is_revoked("mallory"));
  // Whoever writes slower than that is known by the end that is missing.
  for (const char* text : {"", "sub trudy\nsub mal"}) {
    write("revoked", text);
    EXPECT_FALSE(look_after(std::chrono::milliseconds{200})) << text;
    EXPECT_FALSE(look_after(seconds{60})) << text;
    EXPECT_TRUE(is_revoked("mallory")) << text;
    EXPECT_NE(notices().find("may be half written"), std::string::npos);
  }
  write("revoked", "# nobody\n");
  EXPECT_FALSE(look_after(std::chrono::milliseconds{200}));
  EXPECT_TRUE(look_after(seconds{1}));
  EXPECT_FALSE(is_revoked("mallory"));
}

TEST_F(KeyFilesTest, revocations_of_more_than_64_mib_are_read) {
  {
    std::ofstream file{path("revoked"), std::ios::trunc};
    const std::string comment = "# " + std::string(4000, 'x') + "\n";
    for (int i = 0; i < 17'000; ++i) file << comment;
    file << "sub last\n";
  }
  ASSERT_GT(std::filesystem::file_size(path("revoked")), 64U << 20);
  ASSERT_TRUE(keeper().load().empty());
  EXPECT_TRUE(is_revoked("last"));
}

TEST_F(KeyFilesTest, what_everybody_may_write_is_refused_and_a_pipe_is_not_waited_for) {
  write("revoked", "sub mallory\n", 0602);
  auto complaints = keeper().load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_NE(complaints[0].find("everybody may write this file (mode 0602)"), std::string::npos)
      << complaints[0];
  keeper_.reset();
  std::filesystem::remove(path("revoked"));
  ASSERT_EQ(::mkfifo(path("revoked").c_str(), 0600), 0);
  complaints = keeper().load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_NE(complaints[0].find("it is no plain file"), std::string::npos) << complaints[0];
}

TEST_F(KeyFilesTest, api_keys_that_everybody_may_read_are_a_warning_or_with_strict_keys_an_error) {
  auto& sources = config_.auth[0].key_sources;
  sources.api_keys_file = path("keys");
  write("keys", "# none yet\n", 0644);
  ASSERT_TRUE(keeper().load().empty());
  EXPECT_NE(notices().find("everybody may read"), std::string::npos);
  keeper_.reset();
  sources.strength = auth::KeyStrength::strict;
  const auto complaints = keeper().load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_NE(complaints[0].find("defaultMode: 0400"), std::string::npos) << complaints[0];
}

// --- discovery -------------------------------------------------------------------------------

TEST_F(KeeperTest, discovery_names_the_set_and_the_issuer_and_its_host_alone_sees_the_token) {
  auto& sources = config_.auth[0].key_sources;
  sources.jwks_url.clear();
  sources.discovery_url = "https://id.example/.well-known/openid-configuration";
  sources.bearer_file = ::testing::TempDir() + "bearer-" + std::to_string(::getpid());
  std::ofstream{sources.bearer_file} << "t0ken\n";
  answer_ = {.complaint = "Connection refused"};
  ASSERT_TRUE(keeper().load().empty()) << "it is no reason not to start";
  EXPECT_TRUE(keeper().snapshot().issuers[0].empty());
  answers_[sources.discovery_url] = {
      .body =
          R"({"issuer":"https://id.example/{tenantid}","jwks_uri":"https://keys.example/set"})"};
  answers_["https://keys.example/set"] = {.body = key_set("a")};
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  EXPECT_EQ(kid(), "a");
  EXPECT_EQ(keeper().snapshot().issuers[0],
            (std::vector<auth::Issuer>{{"https://id.example/*", auth::Issuer::Kind::pattern}}));
  for (const FetchRequest& request : asked_)
    EXPECT_EQ(request.bearer, request.url == sources.discovery_url ? "t0ken" : "") << request.url;
  std::filesystem::remove(sources.bearer_file);
}

TEST(Discovery, what_is_of_no_use_says_why) {
  const auto complaint = [](const char* text) {
    return read_discovery(text, config::KeyTransport::protected_only).complaint;
  };
  EXPECT_EQ(complaint("<html>"), "this is no JSON");
  EXPECT_NE(complaint(R"({"issuer":"x"})").find("no jwks_uri"), std::string::npos);
  EXPECT_NE(complaint(R"({"issuer":"x","jwks_uri":"http://id.example/keys"})").find("is not https"),
            std::string::npos);
  EXPECT_NE(complaint(R"({"issuer":"x","jwks_uri":"file:///etc/passwd"})").find("is not https"),
            std::string::npos);
  EXPECT_EQ(complaint(R"({"issuer":"x","jwks_uri":"https://id.example/keys"})"), "");
}

TEST_F(KeeperTest, keys_of_no_use_are_counted_and_named_once) {
  std::string set = key_set("a");
  set.replace(set.size() - 2, 2, R"(,{"kty":"NEW","kid":"n"}]})");
  answer(set, seconds{100});
  ASSERT_TRUE(keeper().load().empty());
  EXPECT_EQ(kid(), "a");
  EXPECT_EQ(keeper().counters().passed_over.get(), 1U);
  const auto said = keeper().take_notices();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("passed over: key 2 (kid \"n\")"), std::string::npos) << said[0];
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  EXPECT_TRUE(keeper().take_notices().empty()) << "once";
}

}  // namespace
}  // namespace sluice::gateway
