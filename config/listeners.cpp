// listen: of the configuration file.
#include <algorithm>

#include "config/sections.h"

namespace sluice::config {

namespace {

// What is said over TLS, and what leads there.
void read_encryption(Document& document, const Section& section, ListenerConfig& listener) {
  if (section.has("tls")) read_listener_tls(document, section.get("tls"), listener);
  if (section.has("hsts")) read_hsts(document, section.get("hsts"), listener.hsts);
  if (section.has("hsts") && !section.has("tls"))
    document.complain(section.get("hsts"),
                      "browsers believe hsts only over TLS; write it beside tls:, and "
                      "redirect_to_https: true here");
  const YAML::Node redirect = section.get("redirect_to_https");
  if (!redirect.IsDefined()) return;
  if (redirect.IsScalar() && redirect.Scalar() == "false") return;
  uint64_t port = 0;  // that of the first TLS listener
  if (!redirect.IsScalar() || redirect.Scalar() != "true")
    section.read<uint64_t>("redirect_to_https", port, "true, or a port like 8443",
                           [](const std::string& text) -> Parsed<uint64_t> {
                             auto number = parse_number(text, 1, 65535);
                             if (std::holds_alternative<uint64_t>(number)) return number;
                             return Complaint{"\"" + text + "\" is not true, or a port like 8443"};
                           });
  listener.https = HttpsRedirect::on;
  listener.https_port = static_cast<uint16_t>(port);
  if (section.has("tls"))
    document.complain(redirect,
                      "this listener speaks TLS; redirect_to_https: true is for the one "
                      "without it");
}

void read_h2c(Document& document, const Section& section, ListenerConfig& listener) {
  bool said = false;
  section.read_switch("h2c", said);
  if (said) listener.h2c = Http2::on;
  if (said && section.has("tls"))
    document.complain(section.get("h2c"), "this listener speaks TLS; h2c: true is for one without");
}

void read_listener(Document& document, Config& config, const YAML::Node& item) {
  ListenerConfig listener;
  YAML::Node address = item;
  if (item.IsMap()) {
    const Section section{
        document,
        item,
        "listen",
        {"address", "proxy_protocol", "h2c", "mode", "group", "tls", "hsts", "redirect_to_https"}};
    read_encryption(document, section, listener);
    section.read("mode", listener.mode, "an octal mode like \"0660\"", parse_mode);
    section.read("group", listener.group, "a group of this system", parse_group);
    bool announced = false;
    section.read_switch("proxy_protocol", announced);
    if (announced) listener.proxy_protocol = ProxyProtocol::required;
    read_h2c(document, section, listener);
    address.reset(section.get("address"));
    if (!address.IsDefined()) {
      document.complain(item,
                        "a listener without address; write for example { address: 0.0.0.0:8000 }");
      return;
    }
  }
  const auto destination = document.value<core::Destination>(
      address, "an address like 0.0.0.0:8000, [::]:8000 or :8000", parse_listen);
  if (!destination) return;
  listener.address = *destination;
  if ((listener.mode || listener.group) &&
      (!destination->is_unix() || destination->path().front() == '@')) {
    document.complain(item, "mode and group are those of a unix socket's file; " +
                                destination->text() + " has none");
    return;
  }
  const auto is_same = [&](const ListenerConfig& other) {
    return other.address == listener.address;
  };
  if (std::any_of(config.listeners.begin(), config.listeners.end(), is_same)) {
    document.complain(address,
                      "another listener has the address " + listener.address.text() + " too");
    return;
  }
  config.listeners.push_back(std::move(listener));
}

}  // namespace

void read_listen(Document& document, Config& config, const YAML::Node& node) {
  const std::vector<YAML::Node> items = document.list(node);
  for (const YAML::Node& item : items) read_listener(document, config, item);
  if (items.empty())
    document.complain(node, "nothing to listen on; write for example listen: 0.0.0.0:8000");
  if (config.listeners.size() > listeners_max)
    document.complain(node, std::to_string(config.listeners.size()) +
                                " addresses to listen on; at most " +
                                std::to_string(listeners_max) + " are possible");
}

}  // namespace sluice::config
