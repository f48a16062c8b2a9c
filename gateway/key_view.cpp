// What one configuration takes from the sources of keys, as snapshots.
#include "gateway/key_view.h"

#include <algorithm>
#include <utility>

#include "auth/jwks.h"
#include "auth/token_verifier.h"
#include "core/assert.h"
#include "gateway/discovery.h"

namespace sluice::gateway {

namespace {

auth::KeySetOrigin origin_of(KeySourceKind kind) {
  return kind == KeySourceKind::key_set_url ? auth::KeySetOrigin::url : auth::KeySetOrigin::file;
}

// "https://id.example:443" of a URL.
std::string host_of(const std::string& url) {
  const size_t authority = url.find("://");
  return authority == std::string::npos ? url : url.substr(0, url.find('/', authority + 3));
}

auth::KeySetReading read_keys(const KeyView::Use& use, const config::AuthConfig& entry,
                              const KeyContent& content) {
  return auth::read_jwks(content.text, entry.provider.algorithms, origin_of(use.source.kind),
                         entry.key_sources.strength);
}

// What is worth knowing of a set that is used all the same.
std::vector<std::string> remarks_on(const auth::KeySetReading& reading, const KeyContent& content) {
  std::vector<std::string> remarks = reading.warnings;
  if (reading.holds_secrets && !content.exposure.empty()) remarks.push_back(content.exposure);
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
  return remarks;
}

}  // namespace

std::string KeySourceId::label() const {
  if (!is_url()) return name;
  const size_t authority = name.find("://") + 3;
  const size_t path = std::min(name.find_first_of("/?#", authority), name.size());
  const size_t at = name.rfind('@', path);
  const size_t host = at == std::string::npos || at < authority ? authority : at + 1;
  const size_t end = std::min(name.find_first_of("?#", host), name.size());
  return name.substr(0, authority) + name.substr(host, end - host);
}

KeyView::KeyView(const config::Config& config) : auth_(config.auth) {
  for (size_t entry = 0; entry < auth_.size(); ++entry) {
    const config::KeySources& from = auth_[entry].key_sources;
    const auto use_file = [&](KeySourceKind kind, const std::string& path) {
      if (!path.empty()) uses_.push_back({.source = {kind, path, "", ""}, .entry = entry});
    };
    const auto use_url = [&](KeySourceKind kind, const std::string& url) {
      if (url.empty()) return;
      uses_.push_back({.source = {kind, url, from.jwks_ca, from.bearer_file}, .entry = entry});
    };
    use_file(KeySourceKind::key_set_file, from.jwks_file);
    use_url(KeySourceKind::discovery, from.discovery_url);
    use_url(KeySourceKind::key_set_url, from.jwks_url);
    use_file(KeySourceKind::api_keys_file, from.api_keys_file);
    use_file(KeySourceKind::passwords_file, from.passwords_file);
  }
  if (!config.revocations_file.empty())
    uses_.push_back({.source = {KeySourceKind::revocations_file, config.revocations_file, "", ""}});
}

// The token is for the host that the configuration names; what a discovery names may be another.
void KeyView::follow(KeySourceId discovery, size_t entry, const KeyContent& content) {
  KeySourceId set = std::move(discovery);
  const std::string named_by = std::exchange(
      set.name, read_discovery(content.text, auth_[entry].key_sources.transport).key_set_url);
  set.kind = KeySourceKind::key_set_url;
  if (host_of(set.name) != host_of(named_by)) set.bearer_file.clear();
  const auto use = std::find_if(uses_.begin(), uses_.end(), [&](const Use& one) {
    return one.source.kind == KeySourceKind::key_set_url && one.entry == entry;
  });
  if (use == uses_.end()) {
    uses_.push_back({.source = std::move(set), .entry = entry});
  } else if (use->source != set) {
    use->source = std::move(set);
    use->seen = 0;
  }
}

std::string KeyView::check(const Use& use, const KeyContent& content) const {
  const auto is_strict = [&] {
    return entry(use).key_sources.strength == auth::KeyStrength::strict;
  };
  switch (use.source.kind) {
    case KeySourceKind::key_set_file:
    case KeySourceKind::key_set_url: {
      const auto reading = read_keys(use, entry(use), content);
      if (!reading.complaint.empty()) return reading.complaint;
      return is_strict() && reading.holds_secrets ? content.exposure : "";
    }
    case KeySourceKind::discovery:
      return read_discovery(content.text, entry(use).key_sources.transport).complaint;
    case KeySourceKind::api_keys_file: {
      if (is_strict() && !content.exposure.empty()) return content.exposure;
      std::string complaint;
      static_cast<void>(read_api_keys(content.text, complaint));
      return complaint;
    }
    case KeySourceKind::passwords_file: {
      if (is_strict() && !content.exposure.empty()) return content.exposure;
      std::string complaint;
      static_cast<void>(auth::read_passwords(content.text, complaint));
      return complaint;
    }
    case KeySourceKind::revocations_file: break;  // judged while it was read
  }
  return "";
}

void KeyView::add_keys(Use& use, auth::KeySnapshot& made) {
  std::string ignored;
  switch (use.source.kind) {
    case KeySourceKind::key_set_file:
    case KeySourceKind::key_set_url: {
      const auto reading = read_keys(use, entry(use), *use.good);
      auto& keys = made.keys[use.entry];
      keys.insert(keys.end(), reading.keys.begin(), reading.keys.end());
      use.remarks = remarks_on(reading, *use.good);
      passed_over_count_ += reading.passed_over.size();
      break;
    }
    case KeySourceKind::discovery:
      made.issuers[use.entry] = {
          read_discovery(use.good->text, entry(use).key_sources.transport).issuer};
      break;
    case KeySourceKind::api_keys_file:
      made.api_keys[use.entry] = read_api_keys(use.good->text, ignored);
      break;
    case KeySourceKind::passwords_file:
      made.users[use.entry] = auth::read_passwords(use.good->text, ignored);
      break;
    case KeySourceKind::revocations_file: made.revocations = use.good->revocations; break;
  }
}

void KeyView::rebuild() {
  auto made = std::make_unique<auth::KeySnapshot>();
  made->generation = current_ == nullptr ? 1 : current_->generation + 1;
  for (const config::AuthConfig& entry : auth_) made->keys.emplace_back(entry.fixed_keys);
  made->api_keys.resize(auth_.size());
  made->users.resize(auth_.size());
  made->issuers.resize(auth_.size());
  passed_over_count_ = 0;
  for (Use& use : uses_) {
    if (use.good != nullptr) add_keys(use, *made);
  }
  key_count_ = 0;
  for (size_t entry = 0; entry < auth_.size(); ++entry)
    key_count_ +=
        made->keys[entry].size() + made->api_keys[entry].size() + made->users[entry].size();
  previous_ = std::exchange(current_, std::move(made));
}

void KeyView::become_ready() {
  if (complaints_.empty()) rebuild();
  // Whoever retired it meanwhile is heard.
  State expected = State::waiting;
  state_.compare_exchange_strong(expected, State::ready, std::memory_order_acq_rel);
}

// What is new since it was ready is published at once.
void KeyView::serve(KeyAudience audience) {
  SLUICE_ASSERT(state() == State::ready && complaints_.empty());
  audience_ = std::move(audience);
  state_.store(State::serving, std::memory_order_release);
}

void KeyView::note_news(Asked asked) {
  due_ = std::max(due_, asked == Asked::yes ? Due::publish : Due::rebuild);
}

bool KeyView::publish() {
  if (is_out_) {
    if (!audience_.has_acknowledged(sequence())) return true;
    is_out_ = false;
    previous_.reset();
  }
  if (due_ == Due::nothing) return false;
  if (std::exchange(due_, Due::nothing) == Due::rebuild) rebuild();
  is_out_ = true;
  sequence_.fetch_add(1, std::memory_order_acq_rel);
  audience_.publish(*current_, sequence());
  return true;
}

}  // namespace sluice::gateway
