// What the kernel may keep for one connection. Left alone it lets both buffers of a socket grow to
// several MiB (net.ipv4.tcp_rmem, tcp_wmem), and clients that never read make it do so.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

namespace sluice::core {

// What is handed over and not sent yet; the rest waits with us, where it is counted
// (TCP_NOTSENT_LOWAT, Linux 3.12).
inline constexpr int unsent_bytes_max = 128 * 1024;

// Of a socket that is to connect or to listen; accepted sockets inherit it. 0 leaves the kernel its
// own bounds. What the kernel refuses it bounds itself.
inline void bound_socket_buffers(int socket, int family, uint32_t bytes) {
  if (family != AF_UNIX) {
    ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes_max,
                 sizeof unsent_bytes_max);
  }
  if (bytes == 0) return;
  const int half = static_cast<int>(bytes / 2);  // the kernel doubles what it is told
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &half, sizeof half);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
}

}  // namespace sluice::core
