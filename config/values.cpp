// Parsers of durations, sizes, rates, addresses and endpoints.
#include "config/values.h"

#include <unistd.h>
#include <cerrno>

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/guarded_file.h"
#include "core/affinity.h"
#include "core/cgroup.h"
#include "core/limits.h"
#include "http/host.h"
#include "metrics/log_target.h"

namespace sluice::config {

namespace {

// How many letters must change (Levenshtein), at most `most`.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

std::string in_quotes(std::string_view text) { return "\"" + std::string{text} + "\""; }

}  // namespace

Parsed<uint64_t> parse_number(std::string_view text, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size() ||
      number < least || number > most) {
    return Complaint{in_quotes(text) + " is not a whole number from " + std::to_string(least) +
                     " to " + std::to_string(most)};
  }
  return number;
}

Parsed<core::Duration> parse_duration(std::string_view text) {
  uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  constexpr core::Duration most = std::chrono::hours{24};
  core::Duration duration{0};
  if (failure == std::errc{} && number <= 86'400'000) {
    if (unit == "ms") duration = std::chrono::milliseconds{number};
    if (unit == "s") duration = std::chrono::seconds{number};
    if (unit == "m" || unit == "min") duration = std::chrono::minutes{number};
    if (unit == "h") duration = std::chrono::hours{number};
  }
  if (duration > core::Duration{0} && duration <= most) return duration;
  return Complaint{
      "duration " + in_quotes(text) +
      " is not a number with a unit, of at most a day; write for example 500ms, 2s, 1m or 1h"};
}

Parsed<EndpointConfig> parse_endpoint(const std::string& text) {
  const bool is_https = text.starts_with("https://");
  const std::string_view scheme = is_https ? "https://" : "http://";
  const Complaint complaint{"upstream " + in_quotes(text) +
                            " is not a URL like http://127.0.0.1:9001 or https://api.example, or "
                            "unix:/run/app.sock"};
  if (text.starts_with("unix:")) {
    const auto destination = core::Destination::parse(text);
    if (!destination) return complaint;
    return EndpointConfig{.authority = "localhost", .destination = *destination};
  }
  if (text.compare(0, scheme.size(), scheme) != 0) return complaint;
  std::string authority = text.substr(scheme.size());
  if (!authority.empty() && authority.back() == '/') authority.pop_back();
  if (!http::is_valid_authority(authority)) return complaint;
  const auto colon = authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  const std::string host = authority.substr(0, has_port ? colon : std::string::npos);
  uint64_t port = is_https ? 443 : 80;
  if (has_port) {
    const auto parsed = parse_number(std::string_view{authority}.substr(colon + 1), 1, 65535);
    if (std::holds_alternative<Complaint>(parsed)) return complaint;
    port = std::get<uint64_t>(parsed);
  }
  const auto address = core::SocketAddress::parse_host(host, static_cast<uint16_t>(port));
  if (!address && host.front() == '[') return complaint;
  EndpointConfig endpoint{.authority = authority,
                          .scheme = is_https ? Scheme::https : Scheme::http};
  if (address) {
    endpoint.destination = *address;
  } else {
    endpoint.host = host;
    endpoint.port = static_cast<uint16_t>(port);
  }
  return endpoint;
}

Parsed<core::Destination> parse_listen(const std::string& text) {
  if (const auto destination = core::Destination::parse(text)) return *destination;
  return Complaint{in_quotes(text) +
                   " is not an address like 0.0.0.0:8000, [::]:8000 or :8000, or a path like "
                   "unix:/run/sluice.sock"};
}

Parsed<uint64_t> parse_size(std::string_view text) {
  constexpr std::pair<std::string_view, uint64_t> units[] = {
      {"B", 1},     {"KiB", 1 << 10},  {"MiB", 1 << 20},     {"GiB", 1 << 30},
      {"kB", 1000}, {"MB", 1'000'000}, {"GB", 1'000'000'000}};
  uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (failure == std::errc{} && number == 0 && unit.empty()) return uint64_t{0};
  for (const auto& [name, bytes] : units) {
    if (failure == std::errc{} && unit == name && number <= (uint64_t{1} << 40) / bytes)
      return number * bytes;
  }
  return Complaint{
      "size " + in_quotes(text) +
      " is not a number with a unit, of at most 1 TiB; write for example 16MiB, 64KiB or 100B"};
}

Parsed<std::vector<int>> parse_cores(std::string_view text) {
  std::vector<int> cores = core::available_cores();
  if (text == "auto") {
    // More workers than the quota pays for would be stopped in turn.
    const uint32_t quota = core::read_cgroup_bounds().cpus;
    if (quota != 0 && quota < cores.size()) cores.resize(quota);
    return cores;
  }
  const auto count = parse_number(text, 1, core::limits::workers_max);
  if (const auto* complaint = std::get_if<Complaint>(&count)) return *complaint;
  if (std::get<uint64_t>(count) > cores.size()) {
    return Complaint{std::string{text} + ": only " + std::to_string(cores.size()) +
                     " may be used (see taskset, cpuset)"};
  }
  cores.resize(std::get<uint64_t>(count));
  return cores;
}

Parsed<std::string> read_plain_file(const std::string& path, size_t most) {
  WholeFile file = read_guarded_file(path, most, FileHolds::anything);
  if (!file.complaint.empty()) return Complaint{std::move(file.complaint)};
  return std::move(file.text);
}

Parsed<std::optional<User>> parse_user(const std::string& text) {
  if (auto user = find_user(text)) return std::optional{*user};
  if (errno == EACCES) {
    return Complaint{"the user \"" + text +
                     "\" can't be looked up, because the sandbox closes /etc/passwd; start anew"};
  }
  return Complaint{"this system has no user \"" + text + "\"; write NAME or NAME:GROUP"};
}

Parsed<std::optional<unsigned>> parse_mode(const std::string& text) {
  unsigned mode = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, mode, 8);
  if (failure != std::errc{} || stop != end || text.size() < 3 || mode > 0777 ||
      (mode & 0600) != 0600)
    return Complaint{"\"" + text +
                     "\" is not the mode of a socket; write it in octal and in quotes, with 6 for "
                     "its own user: \"0660\" lets the group connect, \"0666\" everybody"};
  return std::optional{mode};
}

Parsed<std::optional<unsigned>> parse_group(const std::string& text) {
  if (auto group = find_group(text)) return std::optional{*group};
  return Complaint{"this system has no group \"" + text + "\""};
}

Parsed<std::string> parse_log(const std::string& text) {
  for (const char* word : {"-", "stdout", "/dev/stdout", "/proc/self/fd/1"}) {
    if (text == word) return std::string{metrics::log_to_stdout};
  }
  for (const char* word : {"stderr", "/dev/stderr", "/proc/self/fd/2"}) {
    if (text == word) return std::string{metrics::log_to_stderr};
  }
  for (const char* word : {"syslog", "journald", "journal"}) {
    if (text == word)
      return Complaint{"Sluice does not speak to \"" + text +
                       "\" itself; write stdout, and let the service manager carry that there "
                       "(systemd: StandardOutput=journal), or write ./" +
                       text + " for a file of this name"};
  }
  if (text.empty() || text.ends_with('/'))
    return Complaint{"\"" + text +
                     "\" is not a file; write a path like /var/log/sluice/access.log, stdout, "
                     "stderr or none"};
  return text;
}

Parsed<limiter::Rate> parse_rate(std::string_view text) {
  auto rate = limiter::parse_rate(text);
  if (auto* complaint = std::get_if<limiter::Complaint>(&rate))
    return Complaint{std::move(complaint->text)};
  return std::get<limiter::Rate>(rate);
}

std::optional<Complaint> check_limiter_memory(uint64_t keys) {
  const uint64_t needed = limiter::Shard::size_bytes(keys + keys / 10);
  const uint64_t present = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                           static_cast<uint64_t>(::sysconf(_SC_PAGE_SIZE));
  if (needed <= present) return std::nullopt;
  return Complaint{std::to_string(keys) + " keys need " + std::to_string(needed >> 20) +
                   " MiB, and the machine has " + std::to_string(present >> 20) +
                   "; write at most " + std::to_string(present / 42)};
}

std::string_view nearest(std::string_view text, std::span<const std::string_view> known) {
  std::string_view best;
  size_t least = std::min<size_t>(3, text.size() / 2) + 1;
  for (const std::string_view candidate : known) {
    if (const size_t changes = distance(text, candidate); changes < least) {
      least = changes;
      best = candidate;
    }
  }
  return best;
}

std::string in_words(const limiter::Limit& limit) {
  std::string dry = limit.enforcement == limiter::Enforcement::dry_run ? "; dry run" : "";
  if (limit.announcement == limiter::Announcement::silent) dry += "; not announced";
  if (limit.kind == limiter::Limit::Kind::concurrency)
    return "at most " + std::to_string(limit.concurrent) + " at once" + dry;
  const auto& rate = limit.policy.rate;
  std::string each = std::to_string(rate.period_ns) + " ns";
  if (rate.period_ns % 1'000'000'000 == 0) {
    each = std::to_string(rate.period_ns / 1'000'000'000) + " s";
  } else if (rate.period_ns % 1'000'000 == 0) {
    each = std::to_string(rate.period_ns / 1'000'000) + " ms";
  }
  std::string text = std::to_string(rate.requests) + " request" + (rate.requests == 1 ? "" : "s") +
                     " each " + each + ", burst " + std::to_string(limit.policy.burst);
  if (limit.policy.delay < limit.policy.burst) {
    text += ": " + std::to_string(limit.policy.delay) +
            " at once, the others held, each for at most " + in_words(limit.policy.max_hold);
  }
  return text + dry;
}

std::string in_words(core::Duration duration) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return milliseconds % 1000 == 0 ? std::to_string(milliseconds / 1000) + "s"
                                  : std::to_string(milliseconds) + "ms";
}

bool is_loopback_url(const std::string& url) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return false;
  const std::string_view authority =
      std::string_view{url}.substr(begin + 3, url.find('/', begin + 3) - begin - 3);
  if (authority.find('@') != std::string_view::npos) return false;
  const bool has_brackets = authority.starts_with('[');
  const std::string_view host =
      authority.substr(0, has_brackets ? authority.find(']') + 1 : authority.find(':'));
  if (host == "localhost") return true;
  const auto address = core::SocketAddress::parse_host(host, 0);
  if (!address) return false;
  const auto network = address->prefix();
  if (!network.is_ipv6) return network.bits >> 24 == 127;
  return address->text().starts_with("[::1]");
}

}  // namespace sluice::config
