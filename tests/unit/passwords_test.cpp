// Basic credentials and files of password hashes: what is read, what is refused, and who is let in.
#include <gtest/gtest.h>

#include <optional>

#include "auth/authenticator.h"
#include "auth/passwords.h"

namespace sluice::auth {
namespace {

// As htpasswd -nbBC 4, openssl passwd -6 and crypt(3) made them.
constexpr const char* alice =
    "alice:$2y$04$Y0SXKRcDIks7xpbQQFjtpurs.wR8HQU0ESO9o1WN/sAWjIkjaI3va";  // "open sesame"
constexpr const char* bob =
    "bob:$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY"
    "5hR2.peKEg2VGUqIJJu1";  // "secret"
constexpr const char* ute =
    "\xc3\xbcte:$6$abcdefgh$1dtxElFxZVUTzWz3fRKussURYs8ZUwYl/"
    "zXnYzVWlB9OG3rrYDiyW5OstLTyKsvfZuXjuOw0pL"
    "wun2F9jUNwR.";  // "geheim: ü"

std::string lines(std::initializer_list<const char*> all) {
  std::string text;
  for (const char* line : all) text += std::string{line} + "\n";
  return text;
}

std::string base64(std::string_view text) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < text.size(); at += 3) {
    uint32_t word = 0;
    for (size_t i = 0; i < 3; ++i)
      word = word << 8 | (at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i)
      out += at + i > text.size() ? '=' : digits[word >> (18 - 6 * i) & 63];
  }
  return out;
}

TEST(Passwords, credentials_are_read_or_are_none) {
  const auto read = [](const std::string& encoded) -> std::optional<std::string> {
    BasicMemory memory;
    const auto credentials = read_basic(encoded, memory);
    if (!credentials) return std::nullopt;
    return std::string{credentials->user} + "|" + std::string{credentials->password};
  };
  EXPECT_EQ(read("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Aladdin|open sesame");  // RFC 7617 2
  EXPECT_EQ(read("QWxhZGRpbjpvcGVuIHNlc2FtZQ"), "Aladdin|open sesame");
  EXPECT_EQ(read(base64("a:b:c")), "a|b:c");
  EXPECT_EQ(read(base64("a:")), "a|");
  EXPECT_EQ(read(base64("test:123\xc2\xa3")), "test|123\xc2\xa3");
  EXPECT_EQ(read(base64("ab:\xfb\xff\xfe")), "ab|\xfb\xff\xfe") << "'+' and '/' are digits";
  for (const std::string& bad :
       {base64("nobody"), base64(":x"), base64("a\nb:x"), base64(" a:x"), std::string{"a:b"},
        std::string{"!!!!"}, std::string{"_-_-"}, std::string{"A"}, std::string{},
        base64(std::string{"a:x\0y", 5}), base64(std::string(129, 'u') + ":x"),
        base64("a:" + std::string(400, 'p'))})
    EXPECT_FALSE(read(bad)) << bad;
}

TEST(Passwords, both_kinds_of_hashes_know_their_password) {
  std::string complaint;
  const auto users = read_passwords(lines({"# ours", alice, "", bob, ute}), complaint);
  EXPECT_EQ(complaint, "");
  ASSERT_EQ(users.size(), 3U);
  const auto check = [&](const char* user, const std::string& password) {
    const PasswordUser* found = find_user(users, user);
    return found == nullptr ? Refusal::missing
                            : check_password(*found, base64(std::string{user} + ":" + password));
  };
  EXPECT_EQ(check("alice", "open sesame"), Refusal::none);
  EXPECT_EQ(check("alice", "open sesamE"), Refusal::password_wrong);
  EXPECT_EQ(check("alice", ""), Refusal::password_wrong);
  EXPECT_EQ(check("bob", "secret"), Refusal::none);
  EXPECT_EQ(check("bob", "secret "), Refusal::password_wrong);
  EXPECT_EQ(check("\xc3\xbcte", "geheim: \xc3\xbc"), Refusal::none);
  EXPECT_EQ(check("carol", "x"), Refusal::missing);
  EXPECT_EQ(check_password(users[0], "!"), Refusal::password_form);
}

TEST(Passwords, bad_line_is_named_with_what_is_wrong) {
  const auto complaint = [](const std::string& line) {
    std::string text;
    EXPECT_TRUE(read_passwords(lines({"# first", alice, line.c_str()}), text).empty());
    return text;
  };
  EXPECT_EQ(complaint("bob"), "line 3: write USER:HASH, as htpasswd -B makes it");
  EXPECT_EQ(complaint(":$6$x"), "line 3: write USER:HASH, as htpasswd -B makes it");
  for (const char* weak :
       {"bob:secret", "bob:$apr1$salt$hash", "bob:{SHA}abc=", "bob:$1$salt$hash"})
    EXPECT_EQ(complaint(weak).find("line 3: its hash is neither bcrypt"), 0U) << weak;
  EXPECT_EQ(complaint("bob:$2y$04$short"), "line 3: this is not a bcrypt hash");
  EXPECT_EQ(complaint("bob:$2y$15$Y0SXKRcDIks7xpbQQFjtpurs.wR8HQU0ESO9o1WN/sAWjIkjaI3va"),
            "line 3: a cost of 15 takes too long; at most 14 is possible");
  EXPECT_EQ(complaint("bob:$6$abcdefgh$short"), "line 3: this is not a SHA-512 hash of crypt(5)");
  EXPECT_EQ(complaint("bob:$6$rounds=1000001$abcdefgh$x").find("line 3: so many rounds"), 0U);
  EXPECT_EQ(complaint(std::string(129, 'u') + (alice + 5)).find("line 3: a user has at most"), 0U);
  EXPECT_EQ(complaint(alice), "the user alice is there twice");
}

// One core that looks up, and another thread that checks.
class PasswordCaller : public ::testing::Test {
 protected:
  PasswordCaller() {
    for (const char* name : {"main", "staff"}) {
      Provider provider;
      provider.name = name;
      provider.kind = CredentialKind::password;
      providers_.push_back(provider);
    }
    std::string ignored;
    snapshot_.keys.resize(2);
    snapshot_.issuers.resize(2);
    snapshot_.api_keys.resize(2);
    snapshot_.users = {read_passwords(lines({alice}), ignored),
                       read_passwords(lines({bob}), ignored)};
    authenticator_.emplace(AuthenticatorOptions{
        .verifier = {.providers = providers_, .claims = claims_, .requirements = {}}});
    authenticator_->adopt(snapshot_);
  }
  Refusal ask(const std::string& credentials, ProviderSet providers, EpochSeconds now) {
    const std::string value = "Basic " + base64(credentials);
    memory_ = "Authorization: " + value;
    http::Fields fields;
    fields.reset(memory_.data());
    fields.add() = {.name_begin = 0,
                    .name_size = 13,
                    .value_begin = 15,
                    .value_size = static_cast<uint16_t>(value.size()),
                    .id = http::FieldName::authorization,
                    .disposition = http::Disposition::keep};
    const std::vector<TokenSource> sources{{TokenSource::Kind::basic, "sluice"}};
    attempt_ = {};
    was_checked_ = false;
    const Acceptance acceptance{providers, sources};
    auto progress = authenticator_->look_up(acceptance, fields, "", now, attempt_);
    if (progress == Authenticator::Progress::unknown)
      progress = authenticator_->verify(acceptance, now, attempt_);
    if (progress == Authenticator::Progress::elsewhere) {
      was_checked_ = true;
      attempt_.examined.refusal = check_password(*attempt_.user, attempt_.token);
      authenticator_->settle(now, attempt_);
    }
    return attempt_.examined.refusal;
  }

  std::vector<Provider> providers_;
  std::vector<std::string> claims_{"sub"};
  KeySnapshot snapshot_;
  std::optional<Authenticator> authenticator_;
  std::string memory_;
  Attempt attempt_;
  bool was_checked_ = false;
};

TEST_F(PasswordCaller, is_checked_once_and_remembered_where_the_same_would_be_asked) {
  const EpochSeconds now{std::chrono::seconds{1000}};
  EXPECT_EQ(ask("alice:open sesame", 0b01, now), Refusal::none);
  EXPECT_TRUE(was_checked_);
  EXPECT_EQ(attempt_.examined.principal.subject(), "alice");
  EXPECT_EQ(attempt_.examined.provider, 0U);
  EXPECT_EQ(ask("alice:open sesame", 0b11, now), Refusal::none);
  EXPECT_FALSE(was_checked_) << "remembered";
  EXPECT_EQ(attempt_.examined.principal.subject(), "alice");
  EXPECT_EQ(ask("alice:open sesame", 0b10, now), Refusal::password_wrong) << "not known there";
  EXPECT_EQ(ask("bob:secret", 0b11, now), Refusal::none);
  EXPECT_EQ(attempt_.examined.provider, 1U);
  EXPECT_EQ(ask("alice:open sesame", 0b01, now + std::chrono::minutes{6}), Refusal::none);
  EXPECT_TRUE(was_checked_) << "cache_ttl is over";
}

TEST_F(PasswordCaller, who_is_unknown_costs_as_much_as_who_is_wrong_and_both_are_remembered) {
  const EpochSeconds now{std::chrono::seconds{1000}};
  EXPECT_EQ(ask("alice:wrong", 0b01, now), Refusal::password_wrong);
  EXPECT_TRUE(was_checked_);
  EXPECT_EQ(ask("alice:wrong", 0b01, now), Refusal::password_wrong);
  EXPECT_FALSE(was_checked_);
  EXPECT_EQ(ask("mallory:open sesame", 0b01, now), Refusal::password_wrong)
      << "the password of the stand-in is nobody else's";
  EXPECT_TRUE(was_checked_);
  EXPECT_EQ(attempt_.examined.principal.subject(), "");
  EXPECT_EQ(ask("alice:wrong", 0b01, now + refused_ttl), Refusal::password_wrong);
  EXPECT_TRUE(was_checked_);
  // Other users are there: what was remembered is forgotten.
  snapshot_.users[0].clear();
  authenticator_->adopt(snapshot_);
  EXPECT_EQ(ask("alice:open sesame", 0b01, now), Refusal::password_wrong);
  EXPECT_FALSE(was_checked_) << "there is nobody to ask";
}

}  // namespace
}  // namespace sluice::auth
