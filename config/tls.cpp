// tls:, hsts and redirect_to_https of listeners, tls: of upstreams.
#include "config/tls.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "config/sections.h"
#include "config/tls_parts.h"
#include "tls/name_table.h"
#include "tls/pem.h"

namespace sluice::config {

namespace {

void read_client(Document& document, const YAML::Node& node, ListenerTls& listener) {
  const Section section{document, node, "client", {"verify", "ca", "crl"}};
  if (section.has("verify")) {
    if (const auto word = document.word(section.get("verify"), {"required", "optional"}))
      listener.options.client =
          *word == "required" ? tls::ClientCertificate::required : tls::ClientCertificate::optional;
  } else {
    document.complain(node,
                      "client without verify: write for example client: { verify: required, "
                      "ca: /etc/sluice/clients.pem }");
  }
  const auto path = [](const std::string& text) -> Parsed<std::string> { return text; };
  section.read("ca", listener.client_ca_path, "a path", path);
  section.read("crl", listener.client_revoked_path, "a path", path);
  if (listener.client_ca_path.empty()) {
    document.complain(node,
                      "client without ca: whose certificates may clients show? Write ca: and "
                      "the path of a PEM file");
    return;
  }
  if (auto text = read_trust_file(document, section.get("ca"), listener.client_ca_path)) {
    if (tls::read_certificates(*text, nullptr).empty())
      document.complain(section.get("ca"),
                        listener.client_ca_path + ": holds no certificate in PEM, or a broken one");
    listener.options.client_ca = std::move(*text);
  }
  if (listener.client_revoked_path.empty()) return;
  if (auto text = read_trust_file(document, section.get("crl"), listener.client_revoked_path)) {
    if (tls::read_revocation_lists(*text, nullptr).empty())
      document.complain(section.get("crl"),
                        listener.client_revoked_path +
                            ": holds no revocation list in PEM (-----BEGIN X509 "
                            "CRL-----), or a broken one");
    listener.options.client_revoked = std::move(*text);
  }
}

void read_certificates(Document& document, const Section& section, ListenerTls& listener) {
  const YAML::Node node = section.get("certificates");
  const std::vector<YAML::Node> items =
      node.IsDefined() ? document.list(node) : std::vector<YAML::Node>{};
  if (items.empty())
    document.complain(section.node(),
                      "tls without certificates: write for example tls: { certificates: [{ chain: "
                      "/etc/sluice/api.pem, key: /etc/sluice/api.key }] }");
  if (items.size() > tls::certificates_max) {
    document.complain(node, std::to_string(items.size()) +
                                " certificates; a listener has at most " +
                                std::to_string(tls::certificates_max));
    return;
  }
  for (const YAML::Node& item : items) {
    CertificatePaths paths;
    tls::SharedCertificate certificate = read_certificate_entry(document, item, paths);
    if (certificate == nullptr) continue;
    for (const tls::SharedCertificate& other : listener.options.certificates) {
      const auto is_shared = [&](const std::string& name) {
        return std::find(other->names().begin(), other->names().end(), name) !=
               other->names().end();
      };
      const auto same =
          std::find_if(certificate->names().begin(), certificate->names().end(), is_shared);
      if (other->key_type() == certificate->key_type() && same != certificate->names().end())
        document.warn(item, "an earlier certificate has the name " + *same + " and an " +
                                std::string{tls::to_string(other->key_type())} +
                                " key, too; the earlier one is used for it");
    }
    listener.options.certificates.push_back(std::move(certificate));
    listener.paths.push_back(std::move(paths));
  }
}

// "365d"; browsers count in seconds.
Parsed<std::string> parse_max_age(const std::string& text) {
  uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit{end, static_cast<size_t>(text.data() + text.size() - end)};
  const uint64_t seconds = unit == "d" ? 86'400 : unit == "h" ? 3'600 : unit == "s" ? 1 : 0;
  constexpr uint64_t most = 86'400ULL * 3'650;
  if (failure == std::errc{} && seconds != 0 && number * seconds <= most)
    return std::to_string(number * seconds);
  return Complaint{"\"" + text + "\" is not a time of at most ten years; write for example 365d"};
}

}  // namespace

void read_hsts(Document& document, const YAML::Node& node, std::string& into) {
  std::string seconds = "31536000";
  bool with_subdomains = false, is_preloaded = false;
  if (node.IsScalar()) {
    const auto word = document.word(node, {"true", "false"});
    into = word && *word == "true" ? "max-age=" + seconds : "";
    return;
  }
  const Section section{document, node, "hsts", {"max_age", "include_subdomains", "preload"}};
  section.read("max_age", seconds, "a time like 365d", parse_max_age);
  section.read_switch("include_subdomains", with_subdomains);
  section.read_switch("preload", is_preloaded);
  if (is_preloaded && !with_subdomains)
    document.complain(node, "browsers preload only with include_subdomains: true");
  into = "max-age=" + seconds + (with_subdomains ? "; includeSubDomains" : "") +
         (is_preloaded ? "; preload" : "");
}

void read_listener_tls(Document& document, const YAML::Node& node, ListenerConfig& into) {
  const Section section{
      document, node, "tls", {"certificates", "policy", "strict_sni", "alpn", "client"}};
  auto listener = std::make_shared<ListenerTls>();
  listener->options.protocols = {"h2", "http/1.1"};
  read_certificates(document, section, *listener);
  if (section.has("policy")) {
    if (const auto word = document.word(section.get("policy"), {"modern", "intermediate"}))
      listener->options.policy =
          *word == "modern" ? tls::Policy::modern : tls::Policy::intermediate;
  }
  bool is_strict = false;
  section.read_switch("strict_sni", is_strict);
  if (is_strict) listener->options.unknown_name = tls::UnknownName::alert;
  if (section.has("alpn")) {
    listener->options.protocols.clear();
    for (const YAML::Node& item : document.list(section.get("alpn"))) {
      if (const auto word = document.word(item, {"h2", "http/1.1"}))
        listener->options.protocols.push_back(*word);
    }
    if (listener->options.protocols.empty())
      document.complain(section.get("alpn"), "no protocol; write alpn: [h2, http/1.1]");
  }
  if (section.has("client")) read_client(document, section.get("client"), *listener);
  into.tls = std::move(listener);
}

void read_upstream_tls(Document& document, const YAML::Node& node, UpstreamConfig& upstream) {
  auto options = std::make_shared<UpstreamTls>();
  const bool is_said = node.IsDefined();
  std::string ca = "system";
  if (is_said) {
    const Section section{document, node, "tls", {"ca", "name", "verify", "certificate"}};
    section.read("ca", ca, "system, or a path",
                 [](const std::string& text) -> Parsed<std::string> { return text; });
    if (section.has("name")) {
      if (const auto name = read_host_name(document, section.get("name"))) options->name = *name;
    }
    if (section.has("verify")) {
      const auto word = document.word(section.get("verify"), {"full", "none"});
      if (word && *word == "none") options->options.verification = tls::Verification::none;
    }
    if (section.has("certificate"))
      options->options.certificate =
          read_certificate_entry(document, section.get("certificate"), options->certificate);
    if (options->options.verification == tls::Verification::none) {
      if (section.has("ca"))
        document.complain(section.get("ca"),
                          "ca says whom to believe, and verify: none believes "
                          "everybody; leave one of them out");
      document.warn_always(section.get("verify"),
                           "upstream " + upstream.name +
                               ": verify: none believes whoever answers; write "
                               "ca: and the path of the authority's certificate instead");
      upstream.tls = std::move(options);
      return;
    }
    if (section.has("ca") && ca != "system") {
      options->ca_path = ca;
      if (auto text = read_trust_file(document, section.get("ca"), ca)) {
        if (tls::read_certificates(*text, nullptr).empty())
          document.complain(section.get("ca"),
                            ca + ": holds no certificate in PEM, or a broken one");
        options->options.ca = std::move(*text);
      }
    }
  }
  if (ca == "system") {
    if (auto system = read_system_trust()) {
      options->ca_path = std::move(system->path);
      options->options.ca = std::move(system->pem);
    } else {
      document.complain(is_said ? node : document.root(),
                        "upstream " + upstream.name +
                            ": this system has no list of authorities "
                            "(package ca-certificates); install it, or write tls: { ca: PATH }");
    }
  }
  upstream.tls = std::move(options);
}

void warn_of_names(Document& document, const Config& config, const YAML::Node& listen) {
  const auto is_served = [&](const std::string& name) {
    tls::NameTable covers;
    covers.add(name, 0);
    return std::any_of(config.routes.begin(), config.routes.end(), [&](const Route& route) {
      const std::string& host = route.match.host;
      const bool is_own = route.kind == RouteKind::health || route.kind == RouteKind::metrics;
      // A suffix ("*.example") is served by a name below it, or by the same wildcard.
      return !is_own && (host.empty() || host == name || covers.find(host).has_value() ||
                         (host.starts_with("*.") && name.ends_with(host.substr(1))));
    });
  };
  std::set<std::string> told;
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.tls == nullptr) continue;
    for (const tls::SharedCertificate& certificate : listener.tls->options.certificates) {
      for (const std::string& name : certificate->names()) {
        if (!is_served(name) && told.insert(name).second)
          document.warn(listen, "no route serves " + name + ", a name of the certificate " +
                                    certificate->title());
      }
    }
  }
}

}  // namespace sluice::config
