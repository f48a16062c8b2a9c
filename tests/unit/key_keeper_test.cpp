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
#include "gateway/file_stamp.h"
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
    if (keeper_ == nullptr) keeper_ = std::make_unique<KeyKeeper>(world(seed));
    return *keeper_;
  }
  KeyKeeper::World world(uint64_t seed) {
    return {
        .now = [this] { return now_; },
        .ask =
            [this](uint64_t ticket, const Question& question) {
              asked_.emplace_back(ticket, question.url);
              questions_.push_back(question);
            },
        .answers =
            [this](std::chrono::milliseconds) {
              Fetcher::Answers answers;
              if (is_silent_) return answers;
              for (const auto& [ticket, url] : std::exchange(asked_, {})) {
                ++fetched_;
                const auto found = answers_.find(url);
                answers.emplace_back(ticket, found == answers_.end() ? answer_ : found->second);
              }
              return answers;
            },
        .stamp = [this](const std::string& path) { return files_[path]; },
        .read = [this](const std::string& path, size_t, config::FileHolds,
                       const KeyKeeper::TakePart& take) -> config::FileReading {
          const auto found = files_.find(path);
          if (found == files_.end() || found->second.empty())
            return {.complaint = "this file can't be read: there is no such file"};
          take(found->second);
          return {};
        },
        .write = [this](const std::string& path, const std::string& text) { files_[path] = text; },
        .seed = seed};
  }
  // The keys of a configuration that comes now; what speaks against it.
  std::vector<std::string> load(uint64_t seed = 1) {
    const auto before = view_;
    view_ = keeper(seed).admit(config_);
    EXPECT_TRUE(keeper().settle(*view_, [&, rounds = 0]() mutable { return ++rounds > 10; }));
    if (before != nullptr) before->retire();
    if (view_->state() == KeyView::State::ready && view_->complaints().empty()) {
      view_->serve({.publish = [this](const auth::KeySnapshot&, uint64_t) { ++published_; },
                    .has_acknowledged = [](uint64_t) { return true; }});
    }
    return view_->complaints();
  }
  // Whether the cores have something new after a few rounds.
  bool look() {
    const uint64_t before = view_->snapshot().generation;
    for (int round = 0; round < 3; ++round) static_cast<void>(keeper().tick());
    return view_->snapshot().generation != before;
  }
  bool wish() {
    keeper().wish().express();
    return look();
  }
  void answer(const std::string& body, std::optional<core::Duration> max_age = std::nullopt) {
    answer_ = {.status = 200, .body = body, .max_age = max_age};
  }
  // Looks once a second for so long; how many seconds passed until the next fetch, or nothing.
  std::optional<int64_t> next_fetch_within(seconds most) {
    const unsigned before = fetched_;
    for (int64_t second = 1; second <= most.count(); ++second) {
      now_ += seconds{1};
      static_cast<void>(look());
      if (fetched_ > before) return second;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string kid() {
    return view_->snapshot().keys[0].empty() ? "" : view_->snapshot().keys[0][0]->kid;
  }

  config::Config config_;
  KeyKeeper::Clock::time_point now_{seconds{1'000'000}};
  Fetched answer_;
  bool is_silent_ = false;                               // who is asked does not answer
  std::vector<std::pair<uint64_t, std::string>> asked_;  // what has no answer yet: ticket and URL
  std::vector<Question> questions_;                      // all of them
  std::map<std::string, Fetched> answers_;               // by URL; any other gets answer_
  std::map<std::string, std::string> files_;  // what stands in them; empty: there is none
  unsigned fetched_ = 0;
  unsigned published_ = 0;
  std::shared_ptr<KeyView> view_;
  std::unique_ptr<KeyKeeper> keeper_;
};

TEST_F(KeeperTest, set_is_fetched_again_some_time_before_it_is_stale) {
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(load().empty());
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
    view_.reset();
    keeper_.reset();
    ASSERT_TRUE(load(seed).empty());
    const auto passed = next_fetch_within(seconds{300});
    ASSERT_TRUE(passed);
    intervals.insert(*passed);
  }
  EXPECT_GT(intervals.size(), 3U) << "all gateways would ask at once";
}

TEST_F(KeeperTest, absurd_ages_are_bounded) {
  answer(key_set("a"), seconds{0});
  ASSERT_TRUE(load().empty());
  EXPECT_GE(next_fetch_within(seconds{20}).value_or(0), 7) << "not at every look";
}

TEST_F(KeeperTest, what_was_good_stays_in_use_while_nobody_answers_or_nonsense_comes) {
  answer(key_set("a"), seconds{100});
  ASSERT_TRUE(load().empty());
  const uint64_t generation = view_->snapshot().generation;
  answer_ = {.complaint = "Could not resolve host"};
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  EXPECT_EQ(next_fetch_within(seconds{10}), 5) << "tried again soon";
  answer("<html>");
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  EXPECT_EQ(view_->snapshot().generation, generation);
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
  ASSERT_TRUE(load().empty());
  answer(key_set("b"), seconds{3600});
  EXPECT_FALSE(wish()) << "just fetched";
  EXPECT_EQ(fetched_, 1U);
  now_ += seconds{10};
  EXPECT_TRUE(wish());
  EXPECT_EQ(kid(), "b");
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(wish());
  EXPECT_EQ(fetched_, 2U) << "a flood of unknown names is no flood of fetches";
}

TEST_F(KeeperTest, same_answer_is_no_news) {
  answer(key_set("a"), seconds{100});
  ASSERT_TRUE(load().empty());
  const uint64_t generation = view_->snapshot().generation;
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  EXPECT_EQ(view_->snapshot().generation, generation) << "no core need forget its tokens";
}

TEST_F(KeeperTest, start_without_an_answer_has_no_keys_and_gets_them_later) {
  answer_ = {.complaint = "Connection refused"};
  ASSERT_TRUE(load().empty()) << "it is no reason not to start";
  EXPECT_EQ(kid(), "");
  answer(key_set("a"));
  EXPECT_EQ(next_fetch_within(seconds{10}), 5);
  EXPECT_EQ(kid(), "a");
}

TEST_F(KeeperTest, start_with_nonsense_is_refused) {
  answer("{}");
  const auto complaints = load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0],
            "https://id.example/keys: this is no key set: there is no array \"keys\" (RFC 7517 5)");
}

TEST_F(KeeperTest, unknown_kid_has_files_looked_at_before_it_is_answered) {
  config_.auth.front().key_sources = {.jwks_file = "/keys"};
  files_["/keys"] = key_set("a");
  ASSERT_TRUE(load().empty());
  files_["/keys"] = key_set("b");
  EXPECT_FALSE(look()) << "it is not time yet";
  EXPECT_TRUE(wish());
  EXPECT_EQ(kid(), "b");
  EXPECT_EQ(published_, 1U) << "with the first answer";
}

// --- a new configuration ---------------------------------------------------------------------

TEST_F(KeeperTest, reload_while_the_key_server_is_away_keeps_the_good_keys_and_waits_for_nobody) {
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(load().empty());
  is_silent_ = true;
  config_.auth.front().provider.issuers = {{.text = "https://other.example"}};
  const unsigned fetched = fetched_;
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "a");
  EXPECT_EQ(fetched_, fetched) << "what is known is not asked for anew";
  answer_ = {.complaint = "Connection refused"};
  is_silent_ = false;
  ASSERT_TRUE(next_fetch_within(seconds{1000}));
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "a");
}

TEST_F(KeeperTest, reload_keeps_what_was_good_of_a_file_that_is_broken_now_and_says_so) {
  config_.auth.front().key_sources = {.jwks_file = "/keys"};
  files_["/keys"] = key_set("a");
  ASSERT_TRUE(load().empty());
  files_["/keys"] = "{";
  now_ += seconds{1};
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "a");
  const auto notices = keeper().take_notices();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_NE(notices[0].find("what was good before stays in use"), std::string::npos);
  files_["/keys"] = key_set("b");
  now_ += seconds{1};
  EXPECT_TRUE(look());
  EXPECT_EQ(kid(), "b");
}

TEST_F(KeeperTest, reload_is_not_refused_for_nonsense_of_a_server_whose_keys_nobody_has_yet) {
  answer_ = {.complaint = "Connection refused"};
  ASSERT_TRUE(load().empty());
  answer("<html>");
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  ASSERT_TRUE(load().empty()) << "what runs is no better";
  config_.auth.push_back(config_.auth.front());
  config_.auth.back().key_sources.jwks_url = "https://other.example/keys";
  EXPECT_EQ(load().size(), 1U) << "what is new must be good";
}

TEST_F(KeeperTest, reload_that_names_a_new_source_waits_for_that_one_alone) {
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(load().empty());
  config_.auth.push_back(config_.auth.front());
  config_.auth.back().key_sources.jwks_url = "https://other.example/keys";
  const unsigned fetched = fetched_;
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(fetched_, fetched + 1);
  EXPECT_EQ(view_->snapshot().keys[1].size(), 1U);
}

TEST_F(KeeperTest, authority_that_changes_is_another_source_and_its_keys_are_fetched_anew) {
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(load().empty());
  config_.auth.front().key_sources.jwks_ca = "/other.pem";
  answer(key_set("b"));
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "b") << "whom one authority vouched for is not known by the other";
}

TEST_F(KeeperTest, missing_file_of_a_new_configuration_is_a_complaint_that_says_why) {
  config_.auth.front().key_sources = {.jwks_file = "/keys"};
  const auto complaints = load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0], "/keys: this file can't be read: there is no such file");
}

TEST_F(KeeperTest, interrupted_wait_for_a_silent_server_ends) {
  is_silent_ = true;
  const auto view = keeper().admit(config_);
  EXPECT_FALSE(keeper().settle(*view, [&, rounds = 0]() mutable { return ++rounds > 3; }));
  view->retire();
  static_cast<void>(keeper().tick());
  EXPECT_EQ(view->state(), KeyView::State::gone);
}

TEST_F(KeeperTest, wish_is_answered_without_news_and_files_are_read_while_a_server_is_silent) {
  config_.revocations_file = "/revoked";
  files_["/revoked"] = "jti a\n";
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(load().empty());
  keeper().wish().express();
  static_cast<void>(look());
  EXPECT_EQ(published_, 1U) << "who waits for keys must not wait for news";
  now_ += seconds{11};
  is_silent_ = true;
  keeper().wish().express();
  static_cast<void>(look());
  EXPECT_EQ(published_, 1U) << "the question is under way";
  files_["/revoked"] = "jti a\njti b\n";
  now_ += seconds{1};
  EXPECT_FALSE(look()) << "it may be half written";
  now_ += seconds{1};
  EXPECT_TRUE(look()) << "a revocation does not wait for a key server";
  EXPECT_EQ(view_->snapshot().revocations.size(), 2U);
}

TEST_F(KeeperTest, next_snapshot_waits_for_cores_and_the_one_in_use_lives) {
  config_.auth.front().key_sources = {.jwks_file = "/keys"};
  files_["/keys"] = key_set("a");
  view_ = keeper().admit(config_);
  ASSERT_TRUE(keeper().settle(*view_));
  const auth::KeySnapshot* in_use = &view_->snapshot();
  uint64_t acknowledged = 0;
  view_->serve({.publish = [&](const auth::KeySnapshot& next, uint64_t) { in_use = &next; },
                .has_acknowledged = [&](uint64_t sequence) { return acknowledged >= sequence; }});
  for (const char* name : {"b", "c", "d"}) {
    files_["/keys"] = key_set(name);
    now_ += seconds{1};
    static_cast<void>(look());
    EXPECT_EQ(in_use->keys[0][0]->kid, "b");
  }
  acknowledged = view_->sequence();
  static_cast<void>(look());
  EXPECT_EQ(in_use->keys[0][0]->kid, "d") << "the newest, and none between";
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
  // As a process that starts with this configuration; what speaks against it.
  std::vector<std::string> load() {
    keeper_ = std::make_unique<KeyKeeper>(world());
    return reload();
  }
  std::vector<std::string> reload() {
    const auto before = std::exchange(view_, keeper_->admit(config_));
    EXPECT_TRUE(keeper_->settle(*view_, [&, rounds = 0]() mutable { return ++rounds > 10; }));
    if (before != nullptr) before->retire();
    if (view_->complaints().empty()) {
      view_->serve({.publish = [](const auth::KeySnapshot&, uint64_t) {},
                    .has_acknowledged = [](uint64_t) { return true; }});
    }
    return view_->complaints();
  }
  KeyKeeper::World world() {
    KeyKeeper::World world = KeyKeeper::real_world();
    world.now = [this] { return now_; };
    return world;
  }
  // Whether the cores have something new.
  void pass(std::chrono::milliseconds time) {
    now_ += time;
    for (int round = 0; round < 3; ++round) static_cast<void>(keeper_->tick());
  }
  bool look_after(std::chrono::milliseconds time) {
    const uint64_t before = view_->snapshot().generation;
    pass(time);
    return view_->snapshot().generation != before;
  }
  [[nodiscard]] bool is_revoked(const std::string& subject) {
    return view_->snapshot().revocations.is_revoked("", subject, std::nullopt);
  }
  std::string notices() {
    std::string all;
    for (const std::string& notice : keeper_->take_notices()) all += notice + "\n";
    return all;
  }

  std::string folder_;
  config::Config config_;
  KeyKeeper::Clock::time_point now_{seconds{1'000'000}};
  std::shared_ptr<KeyView> view_;
  std::unique_ptr<KeyKeeper> keeper_;
};

TEST_F(KeyFilesTest, file_that_is_rewritten_in_place_is_not_believed_half_written) {
  ASSERT_TRUE(load().empty());
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
  ASSERT_TRUE(load().empty());
  EXPECT_TRUE(is_revoked("last"));
}

TEST_F(KeyFilesTest, what_everybody_may_write_is_refused_and_a_pipe_is_not_waited_for) {
  write("revoked", "sub mallory\n", 0602);
  auto complaints = load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_NE(complaints[0].find("everybody may write this file (mode 0602)"), std::string::npos)
      << complaints[0];
  std::filesystem::remove(path("revoked"));
  ASSERT_EQ(::mkfifo(path("revoked").c_str(), 0600), 0);
  complaints = load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_NE(complaints[0].find("it is no plain file"), std::string::npos) << complaints[0];
}

TEST_F(KeyFilesTest, api_keys_that_everybody_may_read_are_a_warning_or_with_strict_keys_an_error) {
  auto& sources = config_.auth[0].key_sources;
  sources.api_keys_file = path("keys");
  write("keys", "# none yet\n", 0644);
  ASSERT_TRUE(load().empty());
  EXPECT_NE(notices().find("everybody may read"), std::string::npos);
  sources.strength = auth::KeyStrength::strict;
  const auto complaints = load();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_NE(complaints[0].find("defaultMode: 0400"), std::string::npos) << complaints[0];
}

TEST_F(KeyFilesTest, secrets_that_nobody_else_may_read_any_more_are_taken_with_strict_keys) {
  auto& sources = config_.auth[0].key_sources;
  sources.api_keys_file = path("keys");
  write("keys", "# none yet\n", 0644);
  ASSERT_TRUE(load().empty());
  sources.strength = auth::KeyStrength::strict;
  EXPECT_EQ(reload().size(), 1U);
  write("keys", "# none yet\n", 0600);
  pass(std::chrono::milliseconds{200});
  pass(seconds{1});
  EXPECT_TRUE(reload().empty());
}

// --- discovery -------------------------------------------------------------------------------

TEST_F(KeeperTest, discovery_names_the_set_and_the_issuer_and_its_host_alone_sees_the_token) {
  auto& sources = config_.auth[0].key_sources;
  sources.jwks_url.clear();
  sources.discovery_url = "https://id.example/.well-known/openid-configuration";
  sources.bearer_file = "/bearer";
  files_["/bearer"] = "t0ken\n";
  answer_ = {.complaint = "Connection refused"};
  ASSERT_TRUE(load().empty()) << "it is no reason not to start";
  EXPECT_TRUE(view_->snapshot().issuers[0].empty());
  answers_[sources.discovery_url] = {
      .status = 200,
      .body =
          R"({"issuer":"https://id.example/{tenantid}","jwks_uri":"https://keys.example/set"})"};
  answers_["https://keys.example/set"] = {.status = 200, .body = key_set("a")};
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  EXPECT_EQ(kid(), "a");
  EXPECT_EQ(view_->snapshot().issuers[0],
            (std::vector<auth::Issuer>{{"https://id.example/*", auth::Issuer::Kind::pattern}}));
  for (const Question& question : questions_)
    EXPECT_EQ(question.bearer, question.url == sources.discovery_url ? "t0ken" : "")
        << question.url;
}

TEST_F(KeeperTest, discovery_that_names_another_set_keeps_the_keys_until_that_has_been_fetched) {
  auto& sources = config_.auth[0].key_sources;
  sources.jwks_url.clear();
  sources.discovery_url = "https://id.example/.well-known/openid-configuration";
  const auto names = [&](const std::string& set) {
    answers_[sources.discovery_url] = {
        .status = 200,
        .body = R"({"issuer":"https://id.example","jwks_uri":")" + set + "\"}",
        .max_age = seconds{100}};
  };
  names("https://id.example/one");
  answers_["https://id.example/one"] = {.status = 200, .body = key_set("a")};
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "a") << "a start waits for what its discovery names";
  names("https://id.example/two");
  answers_["https://id.example/two"] = {.complaint = "Connection refused"};
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  now_ += seconds{6};
  EXPECT_FALSE(look());
  EXPECT_EQ(kid(), "a");
  ASSERT_TRUE(load().empty());
  answers_["https://id.example/two"] = {.status = 200, .body = key_set("b")};
  ASSERT_TRUE(next_fetch_within(seconds{10}));
  EXPECT_EQ(kid(), "b");
}

TEST_F(KeeperTest, reload_while_discovery_is_silent_keeps_the_set_and_the_issuer) {
  auto& sources = config_.auth[0].key_sources;
  sources.jwks_url.clear();
  sources.discovery_url = "https://id.example/.well-known/openid-configuration";
  answers_[sources.discovery_url] = {
      .status = 200,
      .body = R"({"issuer":"https://id.example","jwks_uri":"https://id.example/keys"})"};
  answer(key_set("a"));
  ASSERT_TRUE(load().empty());
  is_silent_ = true;
  sources.refresh = seconds{600};
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "a");
  EXPECT_EQ(view_->snapshot().issuers[0], (std::vector<auth::Issuer>{{"https://id.example"}}));
}

TEST_F(KeeperTest, bearer_that_changes_is_another_source) {
  files_["/one"] = "one\n";
  files_["/two"] = "two\n";
  config_.auth[0].key_sources.bearer_file = "/one";
  answer(key_set("a"), seconds{1000});
  ASSERT_TRUE(load().empty());
  config_.auth[0].key_sources.bearer_file = "/two";
  answer(key_set("b"), seconds{1000});
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "b");
  EXPECT_EQ(questions_.back().bearer, "two");
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
  ASSERT_TRUE(load().empty());
  EXPECT_EQ(kid(), "a");
  EXPECT_EQ(keeper().counters().passed_over.get(), 1U);
  const auto said = keeper().take_notices();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("passed over: key 2 (kid \"n\")"), std::string::npos) << said[0];
  ASSERT_TRUE(next_fetch_within(seconds{100}));
  EXPECT_TRUE(keeper().take_notices().empty()) << "once";
}

TEST(KeySource, label_shows_no_secret) {
  const auto label = [](const std::string& url) {
    return KeySourceId{KeySourceKind::key_set_url, url, "", ""}.label();
  };
  EXPECT_EQ(label("https://user:secret@id.example/keys?token=x"), "https://id.example/keys");
  EXPECT_EQ(label("https://id.example?x@y"), "https://id.example");
  EXPECT_EQ(label("https://id.example/a@b"), "https://id.example/a@b");
}

}  // namespace
}  // namespace sluice::gateway
