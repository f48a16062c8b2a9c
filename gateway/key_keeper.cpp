#include "gateway/key_keeper.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "auth/jwks.h"
#include "auth/token_verifier.h"
#include "config/guarded_file.h"
#include "core/affinity.h"
#include "core/fresh_secret.h"
#include "gateway/discovery.h"
#include "gateway/file_stamp.h"
#include "gateway/key_fetch.h"

namespace sluice::gateway {

namespace {

constexpr std::chrono::milliseconds wish_wait{200};
// Between two fetches that tokens ask for.
constexpr std::chrono::seconds want_cooldown{10};
constexpr std::chrono::seconds retry_interval{5};
// A file of lines is believed when it has stayed the same for so long: half of it looks whole.
constexpr std::chrono::seconds settle_interval{1};
constexpr size_t revocations_bytes_max = size_t{1} << 30;
constexpr core::Duration refresh_min = std::chrono::seconds{10};
constexpr core::Duration refresh_max = std::chrono::hours{24};

// Whole or not at all: a crash in the middle leaves the old one.
void write_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream{temporary, std::ios::binary} << text;
  std::rename(temporary.c_str(), path.c_str());
}

constexpr size_t bearer_bytes_max = 64 * 1024;
constexpr const char* torn =
    "it is empty, or its last line has no end, and may be half written; end each line, and write "
    "one with # where there is nothing to say";

// "https://id.example:443" of a URL.
std::string origin_of(const std::string& url) {
  const size_t authority = url.find("://");
  return authority == std::string::npos ? url : url.substr(0, url.find('/', authority + 3));
}

}  // namespace

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
    if (!wish_.is_expressed()) wish_.wait(wish_wait);
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
      note(refresh_file(from.jwks_file, Form::json, [&](const std::string& text) {
        return check_keys(entry, text, auth::KeySetOrigin::file);
      }));
    }
    if (!from.api_keys_file.empty()) {
      note(refresh_file(from.api_keys_file, Form::lines, [&](const std::string& text) {
        std::string complaint;
        if (from.strength == auth::KeyStrength::strict)
          complaint = config::exposure_of(from.api_keys_file).value_or("");
        if (complaint.empty()) static_cast<void>(read_api_keys(text, complaint));
        return complaint;
      }));
    }
    note(refresh_key_set(entry, reason));
  }
  if (!config_.revocations_file.empty()) note(refresh_revocations());
  return changed;
}

// Whether the file is another than the one that was looked at, and settled.
bool KeyKeeper::is_new(const std::string& path, Source& source, Form form) {
  const std::string stamp = file_stamp(path);
  if (stamp == source.stamp && (source.is_loaded || !stamp.empty())) return false;
  if (form == Form::lines && source.is_loaded && !stamp.empty()) {
    if (stamp != source.seen) {
      source.seen = stamp;
      source.seen_at = world_.now();
    }
    if (world_.now() < source.seen_at + settle_interval) return false;
  }
  return true;
}

KeyKeeper::Outcome KeyKeeper::refresh_file(const std::string& path, Form form, const Check& check) {
  Source& source = sources_[path];
  if (!is_new(path, source, form)) return Outcome::unchanged;
  const bool was_missing = source.stamp.empty() && current_ != nullptr;
  source.stamp = file_stamp(path);
  const auto file = config::read_guarded_file(
      path, key_set_bytes_max,
      form == Form::lines ? config::FileHolds::secrets : config::FileHolds::trust);
  if (!file.complaint.empty()) {
    if (!was_missing || !source.stamp.empty()) complain(path + ": " + file.complaint);
    return Outcome::broken;
  }
  const bool is_torn =
      form == Form::lines && source.is_loaded && (file.text.empty() || file.text.back() != '\n');
  const std::string complaint = is_torn ? std::string{torn} : check(file.text);
  if (!complaint.empty()) {
    complain(path + ": " + complaint);
    return Outcome::broken;
  }
  if (!file.warning.empty() && !source.is_loaded) notice(file.warning);
  const bool changed = !source.is_loaded || file.text != source.text;
  source.is_loaded = true;
  source.text = file.text;
  return changed ? Outcome::changed : Outcome::unchanged;
}

// By parts, because they may be many.
KeyKeeper::Outcome KeyKeeper::refresh_revocations() {
  const std::string& path = config_.revocations_file;
  Source& source = sources_[path];
  if (!is_new(path, source, Form::lines)) return Outcome::unchanged;
  const bool was_missing = source.stamp.empty() && current_ != nullptr;
  source.stamp = file_stamp(path);
  auth::RevocationReader reader;
  const auto reading =
      config::read_file_by_parts(path, revocations_bytes_max, config::FileHolds::trust,
                                 [&](std::string_view part) { reader.take(part); });
  std::string complaint = reading.complaint;
  if (complaint.empty() && source.is_loaded && !reader.is_whole()) complaint = torn;
  if (!complaint.empty() && was_missing && source.stamp.empty()) return Outcome::broken;
  auto read = complaint.empty() ? reader.finish(complaint) : std::nullopt;
  if (!read) {
    complain(path + ": " + complaint);
    return Outcome::broken;
  }
  source.is_loaded = true;
  revocations_ = std::move(*read);
  return Outcome::changed;
}

// A set behind a URL, or behind what its discovery names.
KeyKeeper::Outcome KeyKeeper::refresh_key_set(const config::AuthConfig& entry, Reason reason) {
  const config::KeySources& from = entry.key_sources;
  Outcome outcome = Outcome::unchanged;
  if (!from.discovery_url.empty()) {
    outcome = refresh_url(from.discovery_url, entry, reason, [&](const std::string& text) {
      return read_discovery(text, from.transport).complaint;
    });
  }
  const std::string url = key_set_url(entry);
  if (url.empty()) return outcome;
  const Outcome of_set = refresh_url(url, entry, reason, [&](const std::string& text) {
    return check_keys(entry, text, auth::KeySetOrigin::url);
  });
  return of_set == Outcome::changed ? of_set : outcome;
}

std::string KeyKeeper::key_set_url(const config::AuthConfig& entry) {
  const config::KeySources& from = entry.key_sources;
  if (from.discovery_url.empty()) return from.jwks_url;
  const Source& source = sources_[from.discovery_url];
  return source.is_loaded ? read_discovery(source.text, from.transport).key_set_url : "";
}

// The token is read each time, because it is renewed; nobody but the host that the configuration
// names gets to see it.
FetchRequest KeyKeeper::request_for(const std::string& url, const config::AuthConfig& entry) {
  const config::KeySources& from = entry.key_sources;
  FetchRequest request{.url = url, .authorities = from.jwks_ca};
  const std::string& named = from.discovery_url.empty() ? from.jwks_url : from.discovery_url;
  if (from.bearer_file.empty() || origin_of(url) != origin_of(named)) return request;
  const auto file =
      config::read_guarded_file(from.bearer_file, bearer_bytes_max, config::FileHolds::secrets);
  if (!file.complaint.empty()) notice(from.bearer_file + ": " + file.complaint);
  request.bearer = file.text.substr(0, file.text.find_first_of("\r\n"));
  return request;
}

KeyKeeper::Outcome KeyKeeper::refresh_url(const std::string& url, const config::AuthConfig& entry,
                                          Reason reason, const Check& check) {
  Source& source = sources_[url];
  const auto now = world_.now();
  const bool asked_for = reason == Reason::kid && now >= source.fetched_at + want_cooldown;
  if (now < source.due_at && !asked_for) return Outcome::unchanged;
  const Fetched fetched = world_.fetch(request_for(url, entry));
  source.fetched_at = world_.now();
  source.due_at = source.fetched_at + retry_interval;
  if (!fetched.complaint.empty()) {
    // It may answer later; until then there are the keys of before, or 503.
    counters_.failures.add();
    notice(url + ": " + fetched.complaint);
    if (!source.is_loaded) use_copy(entry, source);
    return Outcome::broken;
  }
  if (const std::string complaint = check(fetched.body); !complaint.empty()) {
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
  const auto file = config::read_guarded_file(path, key_set_bytes_max, config::FileHolds::trust);
  if (!file.complaint.empty() || !check_keys(entry, file.text, auth::KeySetOrigin::url).empty())
    return;
  source.text = file.text;
  source.is_loaded = true;
  notice(path + ": using the keys of an earlier run, because " + entry.key_sources.jwks_url +
         " does not answer");
}

std::string KeyKeeper::check_keys(const config::AuthConfig& entry, const std::string& text,
                                  auth::KeySetOrigin origin) const {
  const auto reading =
      auth::read_jwks(text, entry.provider.algorithms, origin, entry.key_sources.strength);
  if (!reading.complaint.empty() || !reading.holds_secrets ||
      entry.key_sources.strength == auth::KeyStrength::lenient)
    return reading.complaint;
  return config::exposure_of(entry.key_sources.jwks_file).value_or("");
}

// What is worth knowing of a set that is used all the same; once, not at every look.
void KeyKeeper::remark(const std::string& name, const config::AuthConfig& entry,
                       const auth::KeySetReading& reading) {
  std::vector<std::string> remarks = reading.warnings;
  if (reading.holds_secrets && name == entry.key_sources.jwks_file) {
    if (const auto exposure = config::exposure_of(name)) remarks.push_back(*exposure);
  }
  for (const std::string& each : reading.passed_over) remarks.push_back("passed over: " + each);
  for (const auto& of : auth::all_algorithms()) {
    const auto fits = [&](const auth::SharedKey& key) { return key->algorithm == of.algorithm; };
    const auto count = std::count_if(reading.keys.begin(), reading.keys.end(), fits);
    if (count > static_cast<std::ptrdiff_t>(auth::candidate_keys_max)) {
      remarks.push_back(std::to_string(count) + " keys are for " + std::string{of.name} +
                        "; a token without a kid is tried with the first " +
                        std::to_string(auth::candidate_keys_max));
    }
  }
  Source& source = sources_[name];
  if (source.remarks == remarks) return;
  for (const std::string& text : remarks)
    notice(name + " of auth " + entry.provider.name + ": " + text);
  source.remarks = std::move(remarks);
}

void KeyKeeper::rebuild() {
  auto made = std::make_unique<auth::KeySnapshot>();
  made->generation = current_ == nullptr ? 1 : current_->generation + 1;
  uint64_t count = 0, passed_over = 0;
  for (const config::AuthConfig& entry : config_.auth) {
    auto& keys = made->keys.emplace_back(entry.fixed_keys);
    auto& api_keys = made->api_keys.emplace_back();
    for (const auto& [name, origin] :
         {std::pair{entry.key_sources.jwks_file, auth::KeySetOrigin::file},
          {key_set_url(entry), auth::KeySetOrigin::url}}) {
      if (name.empty() || !sources_[name].is_loaded) continue;
      auto reading = auth::read_jwks(sources_[name].text, entry.provider.algorithms, origin,
                                     entry.key_sources.strength);
      remark(name, entry, reading);
      passed_over += reading.passed_over.size();
      keys.insert(keys.end(), reading.keys.begin(), reading.keys.end());
    }
    auto& issuers = made->issuers.emplace_back();
    if (const std::string& from = entry.key_sources.discovery_url;
        !from.empty() && sources_[from].is_loaded)
      issuers = {read_discovery(sources_[from].text, entry.key_sources.transport).issuer};
    std::string ignored;
    if (const std::string& path = entry.key_sources.api_keys_file; !path.empty())
      api_keys = read_api_keys(sources_[path].text, ignored);
    count += keys.size() + api_keys.size();
  }
  made->revocations = revocations_;
  previous_ = std::exchange(current_, std::move(made));
  counters_.keys.set(count);
  counters_.passed_over.set(passed_over);
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
