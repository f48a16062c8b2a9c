// Which issuers and audiences a provider accepts.
#include "auth/provider.h"

#include <algorithm>
#include <cctype>

namespace sluice::auth {

namespace {

bool is_of_tenant(unsigned char c) {
  return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
}

bool fits(std::string_view pattern, std::string_view text) {
  const size_t star = std::min(pattern.find('*'), pattern.size());
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  if (star == pattern.size()) return text.empty();
  pattern.remove_prefix(star + 1);
  // At least one byte each; the longest first.
  size_t size = 0;
  while (size < text.size() && is_of_tenant(static_cast<unsigned char>(text[size]))) ++size;
  for (; size > 0; --size) {
    if (fits(pattern, text.substr(size))) return true;
  }
  return false;
}

}  // namespace

bool is_of(const Issuer& issuer, std::string_view text) {
  return issuer.kind == Issuer::Kind::exact ? issuer.text == text : fits(issuer.text, text);
}

std::string claim_in_words(std::string_view claim) {
  std::string text{claim};
  std::replace(text.begin(), text.end(), claim_separator, '.');
  return text;
}

}  // namespace sluice::auth
