// Reads an OpenID configuration.
#include "gateway/discovery.h"

#include <simdjson.h>

#include "config/values.h"

namespace sluice::gateway {

namespace {

// "https://login.example/{tenantid}/v2.0" -> "https://login.example/*/v2.0".
auth::Issuer issuer_of(std::string text) {
  auth::Issuer issuer;
  for (size_t open = text.find('{'); open != std::string::npos; open = text.find('{')) {
    const size_t close = text.find('}', open);
    if (close == std::string::npos) break;
    text.replace(open, close - open + 1, "*");
    issuer.kind = auth::Issuer::Kind::pattern;
  }
  issuer.text = std::move(text);
  return issuer;
}

}  // namespace

Discovery read_discovery(const std::string& text, config::KeyTransport transport) {
  Discovery discovery;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view issuer, url;
  const simdjson::padded_string padded{text};
  if (parser.parse(padded).get(root) != simdjson::SUCCESS) {
    discovery.complaint = "this is no JSON";
  } else if (root.at_key("issuer").get_string().get(issuer) != simdjson::SUCCESS ||
             root.at_key("jwks_uri").get_string().get(url) != simdjson::SUCCESS || issuer.empty()) {
    discovery.complaint = "this is no OpenID configuration: it has no issuer or no jwks_uri";
  } else {
    discovery.key_set_url = url;
    discovery.issuer = issuer_of(std::string{issuer});
    const bool is_protected =
        url.starts_with("https://") || config::is_loopback_url(discovery.key_set_url);
    const bool is_http = url.starts_with("http://") || url.starts_with("https://");
    if (!is_http || (!is_protected && transport == config::KeyTransport::protected_only))
      discovery.complaint = "its jwks_uri \"" + discovery.key_set_url +
                            "\" is not https, and keys that come otherwise can be anybody's";
  }
  return discovery;
}

}  // namespace sluice::gateway
