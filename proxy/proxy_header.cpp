// Reads and writes the PROXY header, versions 1 and 2.
#include "proxy/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "http/serializer.h"

namespace sluice::proxy {

namespace {

using State = ProxyHeader::State;

constexpr std::string_view signature_1 = "PROXY ";
constexpr std::string_view signature_2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t line_bytes_max = 107;  // of version 1, CRLF included

// Decimal without leading zeros, 0 to 65535.
std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// An address of the named family and nothing else: "TCP4" does not stand before an IPv6 address.
std::optional<core::SocketAddress> parse_address(std::string_view text, int family, uint16_t port) {
  if (text.find_first_of("[]") != std::string_view::npos) return std::nullopt;
  const auto address = core::SocketAddress::parse_host(text, port);
  if (!address || address->family() != family) return std::nullopt;
  return address;
}

// What stands behind "PROXY ", without CRLF.
ProxyHeader read_line(std::string_view line, size_t size) {
  constexpr ProxyHeader broken{.state = State::broken};
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN "))
    return {.state = State::complete, .size = size};
  std::string_view parts[5];
  for (size_t index = 0; index < 5; ++index) {
    const auto space = line.find(' ');
    if ((space == std::string_view::npos) != (index == 4)) return broken;
    parts[index] = line.substr(0, space);
    if (space != std::string_view::npos) line.remove_prefix(space + 1);
  }
  const int family = parts[0] == "TCP4" ? AF_INET : parts[0] == "TCP6" ? AF_INET6 : AF_UNSPEC;
  const auto source_port = parse_port(parts[3]);
  const auto destination_port = parse_port(parts[4]);
  if (family == AF_UNSPEC || !source_port || !destination_port ||
      !parse_address(parts[2], family, *destination_port))
    return broken;
  const auto source = parse_address(parts[1], family, *source_port);
  if (!source) return broken;
  return {.state = State::complete, .size = size, .source = source};
}

ProxyHeader parse_version_1(std::string_view bytes) {
  const auto end = bytes.find('\n');
  if (end == std::string_view::npos)
    return {.state = bytes.size() >= line_bytes_max ? State::broken : State::incomplete};
  if (end >= line_bytes_max || bytes[end - 1] != '\r') return {.state = State::broken};
  return read_line(bytes.substr(signature_1.size(), end - 1 - signature_1.size()), end + 1);
}

ProxyHeader parse_version_2(std::string_view bytes) {
  constexpr size_t fixed = 16;
  if (bytes.size() < fixed) return {};
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const unsigned command = byte(12) & 15;
  const unsigned family = byte(13);
  const size_t length = byte(14) * size_t{256} + byte(15);
  ProxyHeader header{.size = fixed + length};
  if (byte(12) >> 4 != 2 || command > 1 || header.size > proxy_header_bytes_max)
    return {.state = State::broken};
  constexpr unsigned tcp_4 = 0x11;
  constexpr unsigned tcp_6 = 0x21;
  const size_t needed = family == tcp_4 ? 12 : family == tcp_6 ? 36 : 0;
  if (command == 1 && length < needed) return {.state = State::broken};
  if (bytes.size() < header.size) return {};
  header.state = State::complete;
  if (command == 0) return header;
  if (family == tcp_4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::memcpy(&address.sin_addr, bytes.data() + fixed, 4);
    std::memcpy(&address.sin_port, bytes.data() + fixed + 8, 2);
    header.source = core::SocketAddress{address};
  } else if (family == tcp_6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    std::memcpy(&address.sin6_addr, bytes.data() + fixed, 16);
    std::memcpy(&address.sin6_port, bytes.data() + fixed + 32, 2);
    header.source = core::SocketAddress{address};
  }
  return header;
}

}  // namespace

namespace {

enum class Addresses : uint8_t { unknown, known };

size_t write_line(std::span<std::byte> out, const core::SocketAddress& source,
                  const core::SocketAddress& destination, Addresses addresses) {
  http::Writer line{out};
  if (addresses == Addresses::unknown) return line.put("PROXY UNKNOWN\r\n").size();
  std::array<char, core::SocketAddress::address_text_max> text;
  line.put(source.family() == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ");
  line.put({text.data(), source.format_address(text.data())}).put(" ");
  line.put({text.data(), destination.format_address(text.data())}).put(" ");
  return line.number(source.port()).put(" ").number(destination.port()).put("\r\n").size();
}

size_t write_binary(std::span<std::byte> out, const core::SocketAddress& source,
                    const core::SocketAddress& destination, Addresses addresses) {
  std::array<char, proxy_header_out_bytes_max> bytes;
  char* cursor = std::copy(signature_2.begin(), signature_2.end(), bytes.data());
  const bool has_addresses = addresses == Addresses::known;
  const bool is_ipv6 = has_addresses && source.family() == AF_INET6;
  const uint16_t size = !has_addresses ? 0 : is_ipv6 ? 36 : 12;
  *cursor++ = has_addresses ? 0x21 : 0x20;  // version 2, PROXY or LOCAL
  *cursor++ = !has_addresses ? 0x00 : is_ipv6 ? 0x21 : 0x11;
  *cursor++ = static_cast<char>(size >> 8);
  *cursor++ = static_cast<char>(size);
  const auto put = [&](const void* from, size_t count) {
    std::memcpy(cursor, from, count);
    cursor += count;
  };
  if (has_addresses) {
    for (const core::SocketAddress* one : {&source, &destination}) {
      if (is_ipv6)
        put(&reinterpret_cast<const sockaddr_in6*>(one->data())->sin6_addr, 16);
      else
        put(&reinterpret_cast<const sockaddr_in*>(one->data())->sin_addr, 4);
    }
    for (const core::SocketAddress* one : {&source, &destination}) {
      const uint16_t port = htons(one->port());
      put(&port, sizeof port);
    }
  }
  const auto written = static_cast<size_t>(cursor - bytes.data());
  std::memcpy(out.data(), bytes.data(), written);
  return written;
}

}  // namespace

size_t write_proxy_header(std::span<std::byte> out, config::SendProxy version,
                          const core::SocketAddress& source,
                          const core::SocketAddress& destination) {
  const bool are_known = !source.is_unix_peer() && source.family() == destination.family();
  const Addresses addresses = are_known ? Addresses::known : Addresses::unknown;
  return version == config::SendProxy::v1 ? write_line(out, source, destination, addresses)
                                          : write_binary(out, source, destination, addresses);
}

ProxyHeader parse_proxy_header(std::span<const std::byte> bytes) {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  for (const std::string_view signature : {signature_1, signature_2}) {
    const size_t known = std::min(text.size(), signature.size());
    if (text.substr(0, known) != signature.substr(0, known)) continue;
    if (known < signature.size()) return {};
    return signature == signature_1 ? parse_version_1(text) : parse_version_2(text);
  }
  return {.state = State::broken};
}

}  // namespace sluice::proxy
