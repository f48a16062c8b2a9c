#include "gateway/key_keeper.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "auth/jwks.h"
#include "core/affinity.h"
#include "core/fresh_secret.h"
#include "gateway/file_stamp.h"
#include "gateway/key_fetch.h"

namespace sluice::gateway {

namespace {

constexpr std::chrono::milliseconds look_interval{200};
// Between two fetches that tokens ask for.
constexpr std::chrono::seconds want_cooldown{10};
constexpr std::chrono::seconds retry_interval{5};
constexpr core::Duration refresh_min = std::chrono::seconds{10};
constexpr core::Duration refresh_max = std::chrono::hours{24};

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (file.bad() || text.size() > key_set_bytes_max) return std::nullopt;
  return text;
}

// Whole or not at all: a crash in the middle leaves the old one.
void write_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream{temporary, std::ios::binary} << text;
  std::rename(temporary.c_str(), path.c_str());
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

template <size_t Size>
bool read_hex(const std::string& text, std::array<unsigned char, Size>& out) {
  if (text.size() != 2 * Size) return false;
  for (size_t i = 0; i < Size; ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

}  // namespace

std::vector<auth::ApiKey> read_api_keys(std::string_view text, std::string& complaint) {
  std::vector<auth::ApiKey> keys;
  std::istringstream lines{std::string{text}};
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words{line};
    std::string salt, hash, rest;
    auth::ApiKey key;
    words >> key.id >> salt >> hash >> key.subject;
    const bool is_right = words && !(words >> rest) && read_hex(salt, key.salt) &&
                          read_hex(hash, key.hash) && key.id.find('.') == std::string::npos;
    const bool is_new = std::none_of(keys.begin(), keys.end(),
                                     [&](const auth::ApiKey& other) { return other.id == key.id; });
    if (!is_right || !is_new) {
      complaint = "line " + std::to_string(number) +
                  (is_right ? ": the id " + key.id + " is there twice"
                            : ": write ID SALT HASH SUBJECT, as sluice keys api prints it");
      return {};
    }
    keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end(),
            [](const auth::ApiKey& a, const auth::ApiKey& b) { return a.id < b.id; });
  return keys;
}

KeyKeeper::KeyKeeper(const config::Config& config, KeyCounters* counters)
    : KeyKeeper(config, World{}, counters) {}

KeyKeeper::KeyKeeper(const config::Config& config, World world, KeyCounters* counters)
    : config_(config),
      counters_(counters != nullptr ? *counters : own_counters_),
      world_(std::move(world)),
      random_(world_.seed != 0 ? world_.seed : core::fresh_secret<uint64_t>()) {}

KeyKeeper::~KeyKeeper() { stop(); }

std::vector<std::string> KeyKeeper::load() {
  prepare_fetching();
  static_cast<void>(refresh(Reason::time));
  std::vector<std::string> complaints = take_complaints();
  if (complaints.empty()) rebuild();
  return complaints;
}

void KeyKeeper::start(Audience audience) {
  audience_ = std::move(audience);
  thread_ = std::thread{[this] { run(); }};
}

void KeyKeeper::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wish_.wake();
  thread_.join();
}

std::vector<std::string> KeyKeeper::take_notices() {
  const std::lock_guard lock{mutex_};
  return std::exchange(notices_, {});
}

std::vector<std::string> KeyKeeper::take_complaints() { return std::exchange(complaints_, {}); }

void KeyKeeper::notice(const std::string& text) {
  const std::lock_guard lock{mutex_};
  notices_.push_back(text);
}

void KeyKeeper::complain(const std::string& text) {
  counters_.failures.add();
  if (current_ == nullptr) {
    complaints_.push_back(text);
  } else {
    notice(text + "; what was good before stays in use");
  }
}

void KeyKeeper::run() {
  core::enter_thread("sluice-keys", -1);
  while (!stopping_) {
    if (!wish_.is_expressed()) wish_.wait(look_interval);
    const bool wanted = wish_.take();
    const bool has_news = look(wanted ? Reason::kid : Reason::time);
    if (has_news || wanted) publish();
  }
}

bool KeyKeeper::look(Reason reason) {
  const bool has_news = refresh(reason);
  if (has_news) rebuild();
  return has_news;
}

// Whether anything changed.
bool KeyKeeper::refresh(Reason reason) {
  bool changed = false;
  const auto note = [&](Outcome outcome) { changed |= outcome == Outcome::changed; };
  for (const config::AuthConfig& entry : config_.auth) {
    const config::KeySources& from = entry.key_sources;
    if (!from.jwks_file.empty()) {
      note(refresh_file(from.jwks_file,
                        [&](const std::string& text) { return check_keys(entry, text, false); }));
    }
    if (!from.api_keys_file.empty()) {
      note(refresh_file(from.api_keys_file, [](const std::string& text) {
        std::string complaint;
        static_cast<void>(read_api_keys(text, complaint));
        return complaint;
      }));
    }
    if (!from.jwks_url.empty()) note(refresh_url(entry, reason));
  }
  if (!config_.revocations_file.empty()) {
    note(refresh_file(config_.revocations_file, [](const std::string& text) {
      std::string complaint;
      static_cast<void>(auth::Revocations::parse(text, complaint));
      return complaint;
    }));
  }
  return changed;
}

KeyKeeper::Outcome KeyKeeper::refresh_file(
    const std::string& path, const std::function<std::string(const std::string& text)>& check) {
  Source& source = sources_[path];
  const std::string stamp = file_stamp(path);
  if (stamp == source.stamp && (source.is_loaded || !stamp.empty())) return Outcome::unchanged;
  const bool was_missing = source.stamp.empty() && current_ != nullptr;
  source.stamp = stamp;
  const auto text = read_file(path);
  if (!text) {
    if (!was_missing) complain(path + ": this file can't be read");
    return Outcome::broken;
  }
  if (const std::string complaint = check(*text); !complaint.empty()) {
    complain(path + ": " + complaint);
    return Outcome::broken;
  }
  const bool changed = !source.is_loaded || *text != source.text;
  source.is_loaded = true;
  source.text = *text;
  return changed ? Outcome::changed : Outcome::unchanged;
}

KeyKeeper::Outcome KeyKeeper::refresh_url(const config::AuthConfig& entry, Reason reason) {
  const std::string& url = entry.key_sources.jwks_url;
  Source& source = sources_[url];
  const auto now = world_.now();
  const bool asked_for = reason == Reason::kid && now >= source.fetched_at + want_cooldown;
  if (now < source.due_at && !asked_for) return Outcome::unchanged;
  const Fetched fetched = world_.fetch(url, entry.key_sources.jwks_ca);
  source.fetched_at = world_.now();
  source.due_at = source.fetched_at + retry_interval;
  if (!fetched.complaint.empty()) {
    // It may answer later; until then there are the keys of before, or 503.
    counters_.failures.add();
    notice(url + ": " + fetched.complaint);
    if (!source.is_loaded) use_copy(entry, source);
    return Outcome::broken;
  }
  if (const std::string complaint = check_keys(entry, fetched.body, true); !complaint.empty()) {
    complain(url + ": " + complaint);
    return Outcome::broken;
  }
  // Some time before it is stale, and not all gateways at once.
  const core::Duration life =
      std::clamp(fetched.max_age.value_or(entry.key_sources.refresh), refresh_min, refresh_max);
  source.due_at = source.fetched_at + life * static_cast<int64_t>(75 + random_.below(20)) / 100;
  const bool changed = !source.is_loaded || fetched.body != source.text;
  source.is_loaded = true;
  source.text = fetched.body;
  if (changed && !entry.key_sources.jwks_copy.empty())
    write_file(entry.key_sources.jwks_copy, source.text);
  return changed ? Outcome::changed : Outcome::unchanged;
}

// A cold start while nobody answers: the last good answer will do.
void KeyKeeper::use_copy(const config::AuthConfig& entry, Source& source) {
  const std::string& path = entry.key_sources.jwks_copy;
  if (path.empty()) return;
  const auto text = read_file(path);
  if (!text || !check_keys(entry, *text, true).empty()) return;
  source.text = *text;
  source.is_loaded = true;
  notice(path + ": using the keys of an earlier run, because " + entry.key_sources.jwks_url +
         " does not answer");
}

std::string KeyKeeper::check_keys(const config::AuthConfig& entry, const std::string& text,
                                  bool is_url) const {
  const auto reading = auth::read_jwks(text, entry.provider.algorithms,
                                       is_url ? auth::KeySetOrigin::url : auth::KeySetOrigin::file);
  std::string all;
  for (const std::string& complaint : reading.complaints)
    all += (all.empty() ? "" : "; ") + complaint;
  return all;
}

void KeyKeeper::rebuild() {
  auto made = std::make_unique<auth::KeySnapshot>();
  made->generation = current_ == nullptr ? 1 : current_->generation + 1;
  uint64_t count = 0;
  for (const config::AuthConfig& entry : config_.auth) {
    auto& keys = made->keys.emplace_back(entry.fixed_keys);
    auto& api_keys = made->api_keys.emplace_back();
    for (const auto& [name, origin] :
         {std::pair{entry.key_sources.jwks_file, auth::KeySetOrigin::file},
          {entry.key_sources.jwks_url, auth::KeySetOrigin::url}}) {
      if (name.empty() || !sources_[name].is_loaded) continue;
      auto reading = auth::read_jwks(sources_[name].text, entry.provider.algorithms, origin);
      keys.insert(keys.end(), reading.keys.begin(), reading.keys.end());
    }
    std::string ignored;
    if (const std::string& path = entry.key_sources.api_keys_file; !path.empty())
      api_keys = read_api_keys(sources_[path].text, ignored);
    count += keys.size() + api_keys.size();
  }
  std::string ignored;
  if (!config_.revocations_file.empty()) {
    if (auto revocations =
            auth::Revocations::parse(sources_[config_.revocations_file].text, ignored))
      made->revocations = std::move(*revocations);
  }
  previous_ = std::exchange(current_, std::move(made));
  counters_.keys.set(count);
  counters_.refreshed.add();
  counters_.changed_at_s.set(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count()));
}

// Returns when every core is through with it.
void KeyKeeper::publish() {
  ++sequence_;
  audience_.publish(*current_, sequence_);
  while (!audience_.has_acknowledged(sequence_) && !stopping_)
    wish_.wait(std::chrono::milliseconds{1});
  if (!stopping_) previous_.reset();
}

}  // namespace sluice::gateway
