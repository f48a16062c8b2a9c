// What a route of the configuration file does with a request: where it goes, what is changed on the
// way, what is answered.
#include <algorithm>

#include "config/sections.h"
#include "http/field.h"
#include "http/host.h"
#include "http/hygiene.h"
#include "http/uri.h"

namespace sluice::config {

namespace {

bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

// Those that carry the message, or that Sluice sets itself.
bool may_be_edited(std::string_view name) {
  switch (http::recognize_field(name)) {
    case http::FieldName::connection:
    case http::FieldName::content_length:
    case http::FieldName::expect:
    case http::FieldName::forwarded:
    case http::FieldName::host:
    case http::FieldName::keep_alive:
    case http::FieldName::proxy_connection:
    case http::FieldName::te:
    case http::FieldName::trailer:
    case http::FieldName::transfer_encoding:
    case http::FieldName::upgrade:
    case http::FieldName::x_forwarded:
    case http::FieldName::x_request_id: return false;
    default: return !http::equals_ignoring_case(name, "via");
  }
}

bool check_edited_name(Document& document, const YAML::Node& node, const std::string& name) {
  if (!is_token(name) || name.size() > name_bytes_max) {
    document.complain(node, "\"" + name + "\" is no name of a field");
  } else if (name.find('_') != std::string::npos) {
    document.complain(
        node, "field \"" + name +
                  "\" has a '_', which many servers can't tell from '-'; write it with '-'");
  } else if (!may_be_edited(name)) {
    document.complain(node, "field \"" + name +
                                "\" carries the message or is set by Sluice; it can't be changed" +
                                (http::equals_ignoring_case(name, "host")
                                     ? "; write host: endpoint or host: NAME in the route"
                                     : ""));
  } else {
    return true;
  }
  return false;
}

void read_named_values(Document& document, const YAML::Node& node,
                       std::vector<HeaderEdits::NamedValue>& into) {
  if (!node.IsMap()) {
    document.complain(
        node,
        "a mapping from names of fields to values is accepted, for example { X-Team: orders }");
    return;
  }
  for (const auto& entry : node) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const auto value = document.text(entry.second, "the value of a field");
    if (!check_edited_name(document, entry.first, name) || !value) continue;
    if (!is_field_value(*value))
      document.complain(entry.second, "a field's value has no control characters");
    into.push_back({name, *value});
  }
}

void read_edits(Document& document, const YAML::Node& node, const std::string& where,
                HeaderEdits& edits) {
  const Section section{document, node, where, {"set", "add", "remove"}};
  if (section.has("set")) read_named_values(document, section.get("set"), edits.set);
  if (section.has("add")) read_named_values(document, section.get("add"), edits.add);
  if (section.has("remove")) {
    for (const YAML::Node& item : document.list(section.get("remove"))) {
      const auto name = document.text(item, "the name of a field");
      if (name && check_edited_name(document, item, *name)) edits.remove.push_back(*name);
    }
  }
  size_t bytes = 0;
  for (const auto* list : {&edits.set, &edits.add}) {
    for (const HeaderEdits::NamedValue& field : *list)
      bytes += field.name.size() + field.value.size() + 4;
  }
  if (edits.set.size() + edits.add.size() > header_edits_max || bytes > header_edit_bytes_max) {
    document.complain(node, "at most " + std::to_string(header_edits_max) + " fields of " +
                                std::to_string(header_edit_bytes_max) +
                                " bytes in all are set and added in " + where);
  }
}

void read_rewrite(Document& document, const YAML::Node& node, const RouteMatch& match,
                  Rewrite& rewrite) {
  const Section section{document, node, "rewrite", {"strip_prefix", "add_prefix", "path"}};
  if (section.has("strip_prefix"))
    read_path(document, section.get("strip_prefix"), rewrite.strip_prefix);
  if (section.has("add_prefix")) read_path(document, section.get("add_prefix"), rewrite.add_prefix);
  if (section.has("path")) read_path(document, section.get("path"), rewrite.path);
  if (rewrite.strip_prefix == "/") rewrite.strip_prefix.clear();
  while (rewrite.add_prefix.ends_with('/')) rewrite.add_prefix.pop_back();
  if (!rewrite.path.empty() && (!rewrite.strip_prefix.empty() || !rewrite.add_prefix.empty())) {
    document.complain(
        section.get("path"),
        "path replaces the whole path; strip_prefix and add_prefix mean nothing beside it");
  }
  if (rewrite.strip_prefix.ends_with('/')) rewrite.strip_prefix.pop_back();
  const bool has_prefix = match.path.starts_with(rewrite.strip_prefix) &&
                          (match.path.size() == rewrite.strip_prefix.size() ||
                           match.path[rewrite.strip_prefix.size()] == '/');
  if (!rewrite.strip_prefix.empty() && !has_prefix) {
    document.complain(section.get("strip_prefix"), "requests of this route need not begin with " +
                                                       rewrite.strip_prefix + "; its path is " +
                                                       match.path);
  }
  if (std::max({rewrite.strip_prefix.size(), rewrite.add_prefix.size(), rewrite.path.size()}) >
      rewrite_bytes_max)
    document.complain(node,
                      "a new path has at most " + std::to_string(rewrite_bytes_max) + " bytes");
}

void read_redirect(Document& document, const YAML::Node& node, const RouteMatch& match,
                   Redirect& redirect) {
  const Section section{document, node, "redirect", {"to", "status", "rest"}};
  const auto to = section.has("to")
                      ? document.text(section.get("to"), "a path like /orders, or a URL")
                      : std::nullopt;
  const auto has_scheme = [&](const char* scheme) {
    return to && to->starts_with(scheme) && to->size() > std::string_view{scheme}.size();
  };
  const bool is_path = to && to->starts_with('/') && !to->starts_with("//");
  const bool is_plain =
      to && is_field_value(*to) && to->find_first_of(" \t\"<>\\^`{|}#") == std::string::npos;
  if (!section.has("to")) {
    document.complain(node, "redirect without to: write for example redirect: { to: /orders }");
  } else if (to && (!is_plain || (!is_path && !has_scheme("http://") && !has_scheme("https://")))) {
    document.complain(section.get("to"), "\"" + *to +
                                             "\" is no destination; write a path like /orders, or "
                                             "a URL like https://api.example/orders");
  } else if (to && to->size() > rewrite_bytes_max) {
    document.complain(section.get("to"),
                      "a destination has at most " + std::to_string(rewrite_bytes_max) + " bytes");
  } else if (to) {
    redirect.to = *to;
  }
  if (section.has("status")) {
    if (const auto word = document.word(section.get("status"), {"301", "302", "303", "307", "308"}))
      redirect.status = static_cast<uint16_t>(std::stoul(*word));
  }
  if (section.has("rest")) {
    if (const auto word = document.word(section.get("rest"), {"drop", "keep"});
        word && *word == "keep")
      redirect.rest = Redirect::Rest::keep;
    if (redirect.rest == Redirect::Rest::keep && match.path_kind == RouteMatch::Path::exact)
      document.complain(section.get("rest"),
                        "an exact path leaves no rest to keep; write path_prefix");
  }
}

void read_respond(Document& document, const YAML::Node& node, Respond& respond) {
  const Section section{document, node, "respond", {"status", "body", "file", "content_type"}};
  section.read_number("status", respond.status, 200, 599);
  if (section.has("body") && section.has("file"))
    document.complain(section.get("file"), "body and file exclude each other");
  if (section.has("body")) {
    if (const auto body = document.text(section.get("body"), "text")) respond.body = *body;
  } else if (section.has("file")) {
    if (const auto path = document.text(section.get("file"), "a path")) {
      auto text = read_plain_file(*path, respond_bytes_max);
      if (const auto* complaint = std::get_if<Complaint>(&text))
        document.complain(section.get("file"), "the file " + *path + ": " + complaint->text);
      else
        respond.body = std::move(std::get<std::string>(text));
      document.note_file(*path);
    }
  }
  if (respond.body.size() > respond_bytes_max)
    document.complain(node,
                      "a fixed answer has at most " + std::to_string(respond_bytes_max) + " bytes");
  if ((respond.status == 204 || respond.status == 304) && !respond.body.empty())
    document.complain(node, "an answer with status " + std::to_string(respond.status) +
                                " has no body (RFC 9110 15.3.5)");
  if (section.has("content_type")) {
    const auto type = document.text(section.get("content_type"), "a media type like text/html");
    if (type &&
        (!is_field_value(*type) || type->find('/') == std::string::npos || type->size() > 256))
      document.complain(section.get("content_type"),
                        "\"" + *type + "\" is no media type like text/html");
    else if (type)
      respond.content_type = *type;
  }
}

bool is_origin(std::string_view text) {
  const bool has_scheme = text.starts_with("https://") || text.starts_with("http://");
  return text == "*" || text == "null" ||
         (has_scheme && http::is_valid_authority(text.substr(text.find("//") + 2)));
}

void read_field_names(Document& document, const Section& section, std::string_view key,
                      std::vector<std::string>& into) {
  if (!section.has(key)) return;
  into = document.texts(section.get(key), "names of fields like [X-Request-Id]");
  size_t bytes = 0;
  for (const std::string& name : into) {
    bytes += name.size() + 2;
    if (!is_token(name) && name != "*")
      document.complain(section.get(key), "\"" + name + "\" is no name of a field");
  }
  if (bytes > cors_bytes_max)
    document.complain(section.get(key),
                      "at most " + std::to_string(cors_bytes_max) + " bytes of names");
}

void read_cors(Document& document, const YAML::Node& node, Cors& cors) {
  const Section section{
      document, node, "cors", {"origins", "headers", "expose", "credentials", "max_age"}};
  cors.headers = {"*"};
  if (!section.has("origins"))
    document.complain(
        node, "cors without origins: write for example cors: { origins: [https://app.example] }");
  if (section.has("origins"))
    cors.origins = document.texts(section.get("origins"), "origins like [https://app.example]");
  for (const std::string& origin : cors.origins) {
    if (!is_origin(origin))
      document.complain(
          section.get("origins"),
          "\"" + origin +
              "\" is no origin; write for example https://app.example, without a path, or \"*\"");
  }
  read_field_names(document, section, "headers", cors.headers);
  read_field_names(document, section, "expose", cors.expose);
  section.read_switch("credentials", cors.credentials);
  section.read_duration("max_age", cors.max_age);
  if (cors.credentials &&
      std::find(cors.origins.begin(), cors.origins.end(), "*") != cors.origins.end()) {
    document.complain(section.get("credentials"),
                      "credentials for every origin would let any page act as its visitor; name "
                      "the origins that may");
  }
  if (cors.credentials &&
      std::find(cors.origins.begin(), cors.origins.end(), "null") != cors.origins.end()) {
    document.warn(section.get("origins"),
                  "with credentials \"null\" lets every page act as its visitor: any page can have "
                  "that origin, in a sandboxed frame; name the origins that may");
  }
  if (cors.origins.empty()) cors.origins = {"null"};
}

void read_networks(Document& document, const YAML::Node& node, std::vector<core::Cidr>& into) {
  for (const YAML::Node& item : document.list(node)) {
    if (auto network = read_network(document, item)) into.push_back(*network);
  }
}

std::optional<uint16_t> upstream_index(Document& document, const Config& config,
                                       const YAML::Node& node, const std::string& name) {
  std::vector<std::string_view> known;
  for (const UpstreamConfig& upstream : config.upstreams) known.push_back(upstream.name);
  const auto found = std::find(known.begin(), known.end(), name);
  if (found != known.end()) return static_cast<uint16_t>(found - known.begin());
  const std::string_view meant = nearest(name, known);
  document.complain(node, "there is no upstream called \"" + name + "\"" +
                              (meant.empty() ? "" : "; did you mean " + std::string{meant} + "?"));
  return std::nullopt;
}

// NAME, or [{ NAME: WEIGHT }, ...], or { split: ..., sticky: KEY }
void read_destinations(Document& document, Config& config, const YAML::Node& node,
                       TrafficSplit& to) {
  YAML::Node parts = node;
  if (node.IsMap() && node["split"].IsDefined()) {
    const Section section{document, node, "upstream", {"split", "sticky"}};
    parts.reset(section.get("split"));
    if (section.has("sticky")) to.sticky = read_key(document, config, section.get("sticky"));
  }
  for (const YAML::Node& item : document.list(parts)) {
    if (item.IsScalar()) {
      if (const auto index = upstream_index(document, config, item, item.Scalar()))
        to.parts.push_back({*index, 1});
      continue;
    }
    if (!item.IsMap() || item.size() != 1) {
      document.complain(item,
                        "write the name of an upstream, or shares of several like [{ orders: 95 }, "
                        "{ orders-next: 5 }]");
      continue;
    }
    const auto entry = *item.begin();
    const auto weight = document.value<uint64_t>(
        entry.second, "a whole number",
        [](const std::string& text) { return parse_number(text, 0, 1'000'000); });
    const auto index = upstream_index(document, config, entry.first,
                                      entry.first.IsScalar() ? entry.first.Scalar() : "");
    if (index && weight && *weight > 0)
      to.parts.push_back({*index, static_cast<uint32_t>(*weight)});
  }
  if (to.parts.empty() && document.complaints().empty())
    document.complain(node, "all shares are 0: nobody gets these requests");
}

void read_host_mode(Document& document, const Section& section, Route& route) {
  if (!section.has("host")) return;
  const auto text = document.text(section.get("host"), "preserve, endpoint or a name");
  if (!text || *text == "preserve") return;
  route.host_mode = *text == "endpoint" ? HostMode::endpoint : HostMode::name;
  route.host = *text;
  if (!http::is_valid_authority(*text))
    document.complain(section.get("host"),
                      "\"" + *text + "\" is no host; write preserve, endpoint or a name");
}

}  // namespace

void read_route_actions(Document& document, Config& config, const Section& section, Route& route) {
  if (section.has("allow")) read_networks(document, section.get("allow"), route.addresses.allow);
  if (section.has("deny")) read_networks(document, section.get("deny"), route.addresses.deny);
  if (section.has("max_body"))
    route.body_bytes = document.value<uint64_t>(section.get("max_body"),
                                                "a size like 16MiB, or 0 for no bound", parse_size);
  if (section.has("hsts")) read_hsts(document, section.get("hsts"), route.hsts.emplace());
  if (section.has("cors")) read_cors(document, section.get("cors"), route.cors.emplace());
  if (section.has("headers")) {
    const Section headers{document, section.get("headers"), "headers", {"request", "response"}};
    if (headers.has("request"))
      read_edits(document, headers.get("request"), "headers.request", route.request_edits);
    if (headers.has("response"))
      read_edits(document, headers.get("response"), "headers.response", route.response_edits);
  }
  read_forwarding(document, section, route);
  if (section.has("path")) read_path_rules(document, section.get("path"), route.path);
  if (section.has("rewrite"))
    read_rewrite(document, section.get("rewrite"), route.match, route.rewrite);
  read_host_mode(document, section, route);
  const auto count =
      static_cast<int>(section.has("upstream")) + section.has("redirect") + section.has("respond");
  if (count != 1) {
    document.complain(section.node(),
                      count == 0
                          ? "this route leads nowhere; write upstream: NAME, redirect: or respond:"
                          : "upstream, redirect and respond exclude each other");
  }
  if (section.has("redirect")) {
    route.kind = RouteKind::redirect;
    read_redirect(document, section.get("redirect"), route.match, route.redirect);
  } else if (section.has("respond")) {
    route.kind = RouteKind::respond;
    read_respond(document, section.get("respond"), route.respond);
  } else if (section.has("upstream")) {
    read_destinations(document, config, section.get("upstream"), route.to);
  }
  if (route.kind == RouteKind::upstream) return;
  for (const std::string_view key : {"rewrite", "upgrade", "host", "forwarded", "via"}) {
    if (section.has(key))
      document.complain(section.get(key),
                        std::string{key} + " means nothing where no upstream gets the request");
  }
}

}  // namespace sluice::config
