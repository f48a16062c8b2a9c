// The values of the configuration, from text: the same on the command line and in the file. Every
// complaint says what was found and what to write instead.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "config/config.h"

namespace sluice::config {

struct Complaint {
  std::string text;
};

template <typename T>
using Parsed = std::variant<T, Complaint>;

// Whole numbers, in decimal, from `least` to `most`.
[[nodiscard]] Parsed<uint64_t> parse_number(std::string_view text, uint64_t least, uint64_t most);
// "2s", "500ms", "1m"; a unit is required; above 0, at most a day.
[[nodiscard]] Parsed<core::Duration> parse_duration(std::string_view text);
// "http://HOST[:PORT]" or "unix:/PATH", nothing behind it. A name is left to be resolved.
[[nodiscard]] Parsed<EndpointConfig> parse_endpoint(const std::string& text);
// "0.0.0.0:8000", "[::]:8000", ":8000", "unix:/run/sluice.sock".
[[nodiscard]] Parsed<core::Destination> parse_listen(const std::string& text);
// "16MiB", "64KiB", "100B", "10MB"; 0 needs no unit.
[[nodiscard]] Parsed<uint64_t> parse_size(std::string_view text);
// The first `text` cores that may be used; "auto" is all of them.
[[nodiscard]] Parsed<std::vector<int>> parse_cores(std::string_view text);
// What a file holds, if it is a plain one of at most `most` bytes: no device and no pipe is waited
// for.
[[nodiscard]] Parsed<std::string> read_plain_file(const std::string& path, size_t most);
// "NAME" or "NAME:GROUP" of the system's users.
[[nodiscard]] Parsed<std::optional<User>> parse_user(const std::string& text);
// "0660": the permissions of a socket, in octal. Others than its user and group may be among them.
[[nodiscard]] Parsed<std::optional<unsigned>> parse_mode(const std::string& text);
// The number of a group of this system.
[[nodiscard]] Parsed<std::optional<unsigned>> parse_group(const std::string& text);
// Where the access log goes: a file or pipe, "-" or stdout, stderr, none. One form for each.
[[nodiscard]] Parsed<std::string> parse_log(const std::string& text);
[[nodiscard]] Parsed<limiter::Rate> parse_rate(std::string_view text);
// Whether keys may come from there unencrypted: nobody is between us and this machine.
[[nodiscard]] bool is_loopback_url(const std::string& url);

// What the limiter would need for this many keys, if that is more than the machine has.
[[nodiscard]] std::optional<Complaint> check_limiter_memory(uint64_t keys);

// The one of `known` that was meant, if one is close; else empty.
[[nodiscard]] std::string_view nearest(std::string_view text,
                                       std::span<const std::string_view> known);

// "1 request each 100 ms, burst 5", and whether some of it is held back.
[[nodiscard]] std::string in_words(const limiter::Limit& limit);
// "1500ms" or "20s", as parse_duration() reads it; rounded up.
[[nodiscard]] std::string in_words(core::Duration duration);

}  // namespace sluice::config
