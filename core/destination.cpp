// Parses where to connect to or to listen on.
#include "core/destination.h"

#include <cstddef>
#include <cstring>

namespace sluice::core {

namespace {
constexpr std::string_view scheme = "unix:";
}

Destination::Destination(const SocketAddress& address) : size_(address.size()) {
  std::memcpy(static_cast<void*>(&storage_), address.data(), size_);
}

std::optional<Destination> Destination::parse(std::string_view text) {
  if (text.starts_with(scheme)) return unix_path(text.substr(scheme.size()));
  if (const auto address = SocketAddress::parse(text)) return Destination{*address};
  return std::nullopt;
}

std::optional<Destination> Destination::unix_path(std::string_view path) {
  const bool is_abstract = path.starts_with('@');
  const bool has_name = path.size() > 1 && (is_abstract || path.front() == '/');
  Destination destination;
  if (!has_name || path.size() >= sizeof destination.storage_.local.sun_path ||
      path.find('\0') != std::string_view::npos)
    return std::nullopt;
  destination.storage_.local = {};
  destination.storage_.local.sun_family = AF_UNIX;
  path.copy(destination.storage_.local.sun_path, path.size());
  if (is_abstract) destination.storage_.local.sun_path[0] = 0;
  // In the file system the name ends with its terminator, in the abstract namespace with its
  // length.
  destination.size_ =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1));
  return destination;
}

uint16_t Destination::port() const { return is_unix() ? uint16_t{0} : address().port(); }

std::string Destination::path() const {
  const size_t begin = offsetof(sockaddr_un, sun_path);
  std::string path{storage_.local.sun_path, size_ - begin};
  if (path.front() == 0) {
    path.front() = '@';
  } else {
    path.pop_back();
  }
  return path;
}

SocketAddress Destination::address() const {
  if (family() == AF_INET6) return SocketAddress{storage_.v6};
  return SocketAddress{storage_.v4};
}

std::string Destination::text() const {
  return is_unix() ? std::string{scheme} + path() : address().text();
}

bool Destination::operator==(const Destination& other) const {
  return size_ == other.size_ && std::memcmp(&storage_, &other.storage_, size_) == 0;
}

}  // namespace sluice::core
