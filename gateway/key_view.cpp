#include "gateway/key_view.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "auth/jwks.h"
#include "core/assert.h"

namespace sluice::gateway {

namespace {

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

auth::KeySetOrigin origin_of(KeySourceKind kind) {
  return kind == KeySourceKind::key_set_url ? auth::KeySetOrigin::url : auth::KeySetOrigin::file;
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

std::string KeySourceId::label() const {
  if (kind != KeySourceKind::key_set_url) return name;
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
    const auto use = [&](KeySourceKind kind, const std::string& name,
                         const std::string& authorities) {
      if (!name.empty()) uses_.push_back({.source = {kind, name, authorities}, .entry = entry});
    };
    use(KeySourceKind::key_set_file, from.jwks_file, "");
    use(KeySourceKind::key_set_url, from.jwks_url, from.jwks_ca);
    use(KeySourceKind::api_keys_file, from.api_keys_file, "");
  }
  if (!config.revocations_file.empty())
    uses_.push_back({.source = {KeySourceKind::revocations_file, config.revocations_file, ""}});
}

std::string KeyView::check(const Use& use, const std::string& text) const {
  std::string all;
  switch (use.source.kind) {
    case KeySourceKind::key_set_file:
    case KeySourceKind::key_set_url: {
      const auto reading =
          auth::read_jwks(text, entry(use).provider.algorithms, origin_of(use.source.kind));
      for (const std::string& complaint : reading.complaints)
        all += (all.empty() ? "" : "; ") + complaint;
      break;
    }
    case KeySourceKind::api_keys_file: static_cast<void>(read_api_keys(text, all)); break;
    case KeySourceKind::revocations_file:
      static_cast<void>(auth::Revocations::parse(text, all));
      break;
  }
  return all;
}

void KeyView::rebuild() {
  auto made = std::make_unique<auth::KeySnapshot>();
  made->generation = current_ == nullptr ? 1 : current_->generation + 1;
  for (const config::AuthConfig& entry : auth_) {
    made->keys.emplace_back(entry.fixed_keys);
    made->api_keys.emplace_back();
  }
  std::string ignored;
  for (const Use& use : uses_) {
    if (use.good == nullptr) continue;
    switch (use.source.kind) {
      case KeySourceKind::key_set_file:
      case KeySourceKind::key_set_url: {
        auto reading =
            auth::read_jwks(*use.good, entry(use).provider.algorithms, origin_of(use.source.kind));
        auto& keys = made->keys[use.entry];
        keys.insert(keys.end(), reading.keys.begin(), reading.keys.end());
        break;
      }
      case KeySourceKind::api_keys_file:
        made->api_keys[use.entry] = read_api_keys(*use.good, ignored);
        break;
      case KeySourceKind::revocations_file:
        if (auto revocations = auth::Revocations::parse(*use.good, ignored))
          made->revocations = std::move(*revocations);
        break;
    }
  }
  key_count_ = 0;
  for (size_t entry = 0; entry < auth_.size(); ++entry)
    key_count_ += made->keys[entry].size() + made->api_keys[entry].size();
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
