// The top level of the file: every section that is not about auth, limits, upstreams or routes.
#include "config/reader.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>

#include "config/sections.h"

namespace sluice::config {

namespace {

void read_socket_buffers(Document& document, Config& config, const YAML::Node& node) {
  constexpr uint64_t least = 64 << 10;
  constexpr uint64_t most = 64 << 20;
  const auto bytes = document.value<uint64_t>(
      node, "a size like 512KiB, or 0 for the kernel's own bound", parse_size);
  if (!bytes) return;
  if (*bytes != 0 && (*bytes < least || *bytes > most)) {
    document.complain(node, "socket_buffers are 64KiB to 64MiB, or 0 for the kernel's own bound");
    return;
  }
  config.bounds.socket_buffer_bytes = static_cast<uint32_t>(*bytes);
}

void read_workers(Document& document, Config& config, const YAML::Node& node) {
  const Section section{
      document,
      node,
      "workers",
      {"cores", "steering", "pipes", "connections", "connections_per_address", "requests",
       "requests_per_connection", "socket_buffers", "upstream_connections"}};
  section.read("cores", config.cores, "auto or a number",
               [](const std::string& text) { return parse_cores(text); });
  section.read_number("pipes", config.bounds.pipes, 0, 100'000);
  section.read_number("connections", config.bounds.connections, 64, 1'000'000);
  section.read_number("connections_per_address", config.bounds.connections_per_address, 1,
                      1'000'000);
  section.read_number("requests", config.bounds.exchanges, 16, 30'000);
  if (const YAML::Node size = section.get("socket_buffers"); size.IsDefined())
    read_socket_buffers(document, config, size);
  section.read_number("requests_per_connection", config.bounds.requests_per_connection, 1,
                      1'000'000'000);
  section.read_number("upstream_connections", config.bounds.upstream_connections, 1, 1'000'000);
  config.bounds.tunnels = std::min(config.bounds.tunnels, config.bounds.exchanges);
  if (const YAML::Node steering = section.get("steering"); steering.IsDefined()) {
    if (const auto word = document.word(steering, {"auto", "address", "spread"})) {
      config.steering = *word == "auto"      ? limiter::Steering::automatic
                        : *word == "address" ? limiter::Steering::address
                                             : limiter::Steering::spread;
    }
  }
}

void read_trusted(Document& document, Config& config, const YAML::Node& node) {
  for (const YAML::Node& item : document.list(node)) {
    if (item.IsScalar() && item.Scalar() == "unix") {
      config.trust_unix = TrustUnix::yes;
    } else if (const auto network = read_network(document, item)) {
      config.trusted.push_back(*network);
      if (item.Scalar().ends_with("/0"))
        document.warn(item, "\"" + item.Scalar() +
                                "\" trusts everybody, and everybody may then say which client he "
                                "is; name the networks of the proxies in front");
    }
  }
}

void read_http2(Document& document, Config& config, const YAML::Node& node) {
  const Section section{
      document, node, "http2", {"streams", "stream_window", "connection_window", "memory"}};
  constexpr const char* form = "a size like 64KiB";
  http::h2::Bounds& bounds = config.bounds.http2;
  const auto read_window = [&](const char* key, uint32_t& window) {
    if (!section.has(key)) return;
    const auto size = document.value<uint64_t>(section.get(key), form, parse_size);
    if (!size) return;
    if (*size < (uint64_t{16} << 10) || *size > (uint64_t{16} << 20))
      document.complain(section.get(key), std::string{key} + " lies between 16KiB and 16MiB");
    else
      window = static_cast<uint32_t>(*size);
  };
  section.read_number("streams", bounds.streams, 1, 10'000);
  read_window("stream_window", bounds.stream_window);
  read_window("connection_window", bounds.connection_window);
  // HTTP/2 begins with this much, and takes nothing back.
  if (bounds.connection_window < 65'535)
    document.complain(section.get("connection_window"), "connection_window is at least 64KiB");
  if (!section.has("memory")) return;
  const auto memory =
      document.value<uint64_t>(section.get("memory"), "a size like 32MiB", parse_size);
  if (memory && (*memory < (uint64_t{1} << 20) || *memory > (uint64_t{1} << 36)))
    document.complain(section.get("memory"), "memory lies between 1MiB and 64GiB");
  else if (memory)
    config.bounds.http2_memory_bytes = *memory;
}

// Towards clients.
void read_timeouts(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "timeouts", {"head", "idle", "body", "write"}};
  section.read_duration("head", config.timeouts.head);
  section.read_duration("idle", config.timeouts.idle);
  section.read_duration("body", config.timeouts.body);
  section.read_duration("write", config.timeouts.write);
}

void read_drain(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "drain", {"announce", "deadline"}};
  section.read_duration_or_none("announce", config.timeouts.drain_announce);
  section.read_duration("deadline", config.timeouts.drain);
}

void read_resolver(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "resolver", {"servers", "timeout", "ttl_min", "ttl_max"}};
  if (section.has("servers")) {
    for (const YAML::Node& item : document.list(section.get("servers"))) {
      const auto text = document.text(item, "an address like 10.0.0.2 or 10.0.0.2:53");
      if (!text) continue;
      if (!core::SocketAddress::parse(*text) && !core::SocketAddress::parse_host(*text, 53)) {
        document.complain(
            item,
            "\"" + *text +
                "\" is no address of a name server; write for example 10.0.0.2 or 10.0.0.2:53");
        continue;
      }
      config.resolver.servers += (config.resolver.servers.empty() ? "" : ",") + *text;
    }
  }
  section.read_duration("timeout", config.resolver.timeout);
  section.read_duration("ttl_min", config.resolver.ttl_min);
  section.read_duration("ttl_max", config.resolver.ttl_max);
  if (config.resolver.ttl_max < config.resolver.ttl_min)
    document.complain(node, "ttl_max is less than ttl_min");
}

void read_process(Document& document, Config& config, const Section& root) {
  root.read("log", config.log_path, "a path, stdout, stderr or none", parse_log);
  root.read(
      "control", config.control_path, "a path like /run/sluice/control.sock",
      [](const std::string& text) -> Parsed<std::string> {
        if (core::Destination::unix_path(text)) return text;
        return Complaint{"\"" + text +
                         "\" is no path of a socket; it begins with / and has at most 107 bytes"};
      });
  root.read("user", config.user, "a user, or user:group",
            [](const std::string& text) { return parse_user(text); });
  root.read_switch("reload_on_change", config.reloads_on_change);
  if (root.has("sandbox")) {
    if (const auto word = document.word(root.get("sandbox"), {"on", "off"}))
      config.sandbox = *word == "on" ? Sandbox::on : Sandbox::off;
  }
}

void warn_of_unused(Document& document, const Config& config, const YAML::Node& limits) {
  std::vector<bool> used(config.limits.size());
  std::vector<bool> used_upstreams(config.upstreams.size());
  for (const Route& route : config.routes) {
    for (const uint16_t limit : route.limits_before) used[limit] = true;
    for (const uint16_t limit : route.limits_after) used[limit] = true;
    for (const TrafficSplit::Part& part : route.to.parts) used_upstreams[part.upstream] = true;
  }
  for (size_t index = 0; index < used.size(); ++index) {
    if (!used[index]) document.warn(limits, "no route uses the limit " + config.limits[index].name);
  }
  for (size_t index = 0; index < used_upstreams.size(); ++index) {
    if (!used_upstreams[index])
      document.warn(document.root(), "no route uses the upstream " + config.upstreams[index].name);
  }
}

// Sections that may stand in every file come before those that name what is in them.
Config read_documents(std::span<const std::unique_ptr<Document>> documents) {
  Config config;
  config.cores = std::get<std::vector<int>>(parse_cores("auto"));
  config.listeners.clear();
  std::vector<Section> roots;
  for (const auto& document : documents) {
    if (document == documents.front()) {
      roots.emplace_back(
          *document, document->root(), "the configuration",
          std::initializer_list<std::string_view>{
              "listen",        "workers",          "trusted", "auth",      "revoked", "tracing",
              "failed_tokens", "limits",           "limiter", "upstreams", "routes",  "log",
              "user",          "sandbox",          "include", "timeouts",  "drain",   "resolver",
              "control",       "reload_on_change", "http2"});
    } else {
      roots.emplace_back(
          *document, document->root(), "an included file",
          std::initializer_list<std::string_view>{"listen", "trusted", "auth", "limits",
                                                  "upstreams", "routes", "include"});
    }
  }
  Document& main = *documents.front();
  const Section& root = roots.front();
  const auto each = [&](std::string_view key, auto&& read) {
    for (size_t index = 0; index < roots.size(); ++index) {
      if (roots[index].has(key)) read(*documents[index], config, roots[index].get(key));
    }
  };
  each("listen", read_listen);
  if (config.listeners.empty()) config.listeners.emplace_back();
  if (root.has("workers")) read_workers(main, config, root.get("workers"));
  if (root.has("http2")) read_http2(main, config, root.get("http2"));
  each("trusted", read_trusted);
  const bool is_announced = std::any_of(
      config.listeners.begin(), config.listeners.end(),
      [](const ListenerConfig& one) { return one.proxy_protocol == ProxyProtocol::required; });
  if (is_announced && config.trusted.empty() && config.trust_unix == TrustUnix::no) {
    main.complain(root.has("listen") ? root.get("listen") : main.root(),
                  "proxy_protocol: true, and nobody is trusted to speak it; write for example "
                  "trusted: [10.0.0.0/8]");
  }
  if (root.has("timeouts")) read_timeouts(main, config, root.get("timeouts"));
  if (root.has("drain")) read_drain(main, config, root.get("drain"));
  if (root.has("resolver")) read_resolver(main, config, root.get("resolver"));
  each("auth", read_auth);
  if (root.has("revoked")) read_revoked(main, config, root.get("revoked"));
  if (root.has("tracing")) read_tracing(main, config, root.get("tracing"));
  if (root.has("failed_tokens")) read_failed_tokens(main, config, root.get("failed_tokens"));
  RouteNames names;
  for (const AuthConfig& entry : config.auth) names.auth.push_back(entry.provider.name);
  each("limits", read_limits);
  if (root.has("limiter")) read_limiter(main, config, root.get("limiter"));
  each("upstreams", read_upstreams);
  std::vector<Sourced> routes;
  for (size_t index = 0; index < roots.size(); ++index)
    routes.push_back({documents[index].get(), roots[index].get("routes")});
  read_routes(routes, config, names);
  read_process(main, config, root);
  warn_of_unused(main, config, root.get("limits"));
  warn_of_names(main, config, root.has("listen") ? root.get("listen") : main.root());
  for (const auto& document : documents) {
    config.files.push_back(document->name());
    config.files.insert(config.files.end(), document->files().begin(), document->files().end());
    const auto& warnings = document->start_warnings();
    config.start_warnings.insert(config.start_warnings.end(), warnings.begin(), warnings.end());
  }
  return config;
}

std::optional<std::string> read_file(const std::string& path, std::string& complaint) {
  auto text = read_plain_file(path, config_bytes_max);
  if (const auto* why = std::get_if<Complaint>(&text)) {
    complaint = why->text.starts_with("larger") ? "larger than 1 MiB; this can't be a configuration"
                                                : why->text;
    return std::nullopt;
  }
  return std::move(std::get<std::string>(text));
}

std::string folder_named(const std::string& from, const std::string& pattern) {
  const std::filesystem::path folder =
      (std::filesystem::path{from}.parent_path() / pattern).parent_path();
  return folder.empty() ? "." : folder.string();
}

// Paths are relative to the file that names them; "*" and "?" in the last part stand for many.
std::vector<std::string> files_named(const std::string& from, const std::string& pattern) {
  const std::filesystem::path base = std::filesystem::path{from}.parent_path();
  const std::string whole = pattern.starts_with('/') ? pattern : (base / pattern).string();
  glob_t found{};
  std::vector<std::string> files;
  if (::glob(whole.c_str(), GLOB_ERR, nullptr, &found) == 0)
    files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (files.empty() && pattern.find_first_of("*?[") == std::string::npos) files.push_back(whole);
  return files;
}

// `way` is the files that led here.
void read_includes(Document& from, std::vector<std::string>& way,
                   std::vector<std::unique_ptr<Document>>& documents) {
  const YAML::Node root = from.root();
  const YAML::Node include = root.IsMap() ? root["include"] : YAML::Node{YAML::NodeType::Undefined};
  if (!include.IsDefined()) return;
  for (const YAML::Node& item : from.list(include)) {
    const auto pattern = from.text(item, "a path like conf.d/*.yaml");
    if (!pattern) continue;
    from.note_file(folder_named(from.name(), *pattern));
    for (const std::string& file : files_named(from.name(), *pattern)) {
      std::error_code failure;
      const std::string path = std::filesystem::weakly_canonical(file, failure).string();
      if (std::find(way.begin(), way.end(), path) != way.end()) {
        from.complain(item,
                      "files include each other in a circle: " + path + " is being read already");
        continue;
      }
      const auto is_known = [&](const auto& one) {
        return std::filesystem::weakly_canonical(one->name(), failure).string() == path;
      };
      if (std::any_of(documents.begin(), documents.end(), is_known)) {
        from.complain(item, path + " is included twice");
        continue;
      }
      if (documents.size() == config_files_max) {
        from.complain(item, "more than " + std::to_string(config_files_max) + " files");
        return;
      }
      std::string complaint;
      const auto text = read_file(file, complaint);
      if (!text) {
        from.complain(item, file + ": " + complaint);
        continue;
      }
      documents.push_back(std::make_unique<Document>(file, *text));
      Document& document = *documents.back();
      way.push_back(path);
      read_includes(document, way, documents);
      way.pop_back();
    }
  }
}

}  // namespace

std::optional<core::Cidr> read_network(Document& document, const YAML::Node& node) {
  const auto text = document.text(node, "a network like 10.0.0.0/8");
  if (!text) return std::nullopt;
  auto network = core::Cidr::parse(*text);
  if (!network) {
    document.complain(node, "\"" + *text +
                                "\" is no network; write for example 10.0.0.0/8, 2001:db8::/32 or "
                                "a single address, without bits behind the prefix");
  }
  return network;
}

namespace {

std::vector<std::unique_ptr<Document>> document_and_includes(const std::string& name,
                                                             const std::string& text) {
  std::vector<std::unique_ptr<Document>> documents;
  documents.push_back(std::make_unique<Document>(name, text));
  std::error_code failure;
  std::vector<std::string> way{std::filesystem::weakly_canonical(name, failure).string()};
  if (documents.front()->complaints().empty()) read_includes(*documents.front(), way, documents);
  return documents;
}

}  // namespace

std::vector<std::unique_ptr<Document>> read_document_and_includes(const std::string& path) {
  std::string complaint;
  return document_and_includes(path, read_file(path, complaint).value_or(""));
}

ConfigReading read_config_text(const std::string& name, const std::string& text) {
  const std::vector<std::unique_ptr<Document>> documents = document_and_includes(name, text);
  const auto complaints = [&] {
    std::vector<std::string> all;
    for (const auto& document : documents)
      all.insert(all.end(), document->complaints().begin(), document->complaints().end());
    return all;
  };
  ConfigReading reading;
  if (complaints().empty()) {
    Config config = read_documents(documents);
    complete(config);
    reading.config = std::move(config);
  }
  reading.complaints = complaints();
  for (const auto& document : documents)
    reading.warnings.insert(reading.warnings.end(), document->warnings().begin(),
                            document->warnings().end());
  if (!reading.complaints.empty()) reading.config.reset();
  return reading;
}

ConfigReading read_config(const std::string& path) {
  std::string complaint;
  if (const auto text = read_file(path, complaint)) return read_config_text(path, *text);
  ConfigReading reading;
  reading.complaints.push_back(path + ": " + complaint);
  return reading;
}

}  // namespace sluice::config
