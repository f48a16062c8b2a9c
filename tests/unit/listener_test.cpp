// Listening sockets of the real kernel: what accepted ones inherit.
#include "gateway/listener.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/socket_buffers.h"

namespace sluice::gateway {
namespace {

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket, level, name, &value, &size);
  return value;
}

TEST(Listener, what_the_kernel_keeps_of_a_client_is_bounded) {
  for (const uint32_t bytes : {core::limits::socket_buffer_bytes, 128U * 1024}) {
    config::Config config;
    config.listeners = {{.address = core::SocketAddress::ipv4(0x7f000001, 0)}};
    config.bounds.socket_buffer_bytes = bytes;
    ListenerSet set;
    InheritedListeners none;
    ASSERT_FALSE(open_listener_set(config.listeners[0].address,
                                   rules_of(config.listeners[0], config), 1, none, set));
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(client, set.bound.data(), set.bound.size()), 0);
    int accepted = -1;
    while (accepted < 0) accepted = ::accept(set.descriptors[0], nullptr, nullptr);
    EXPECT_EQ(option(accepted, SOL_SOCKET, SO_SNDBUF), static_cast<int>(bytes));
    EXPECT_EQ(option(accepted, SOL_SOCKET, SO_RCVBUF), static_cast<int>(bytes));
    EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_NOTSENT_LOWAT), core::unsent_bytes_max);
    EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    for (const int one : {accepted, client, set.descriptors[0]}) ::close(one);
  }
}

}  // namespace
}  // namespace sluice::gateway
