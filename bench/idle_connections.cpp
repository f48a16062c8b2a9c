// Opens connections to a gateway, has one request answered on each, and says what its process takes
// for keeping them. usage: idle_connections PORT COUNT PID
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "core/address.h"

namespace {

long resident_kib(const std::string& pid) {
  std::ifstream file{"/proc/" + pid + "/statm"};
  long total = 0;
  long resident = 0;
  file >> total >> resident;
  return resident * 4;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto address =
      sluice::core::SocketAddress::ipv4(0x7f000001, static_cast<uint16_t>(std::atoi(argv[1])));
  const int count = std::atoi(argv[2]);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const std::string request = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  long before = 0;
  std::vector<int> sockets;
  for (int i = -1; i < count; ++i) {
    // The first one only shows that the gateway has come up.
    if (i == 0) before = resident_kib(argv[3]);
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    char answer[1024];
    // From several addresses: one may have a quarter of the connections.
    const auto from =
        sluice::core::SocketAddress::ipv4(0x7f000001 + static_cast<uint32_t>(i + 1) % 64, 0);
    if (::bind(socket, from.data(), from.size()) != 0 ||
        ::connect(socket, address.data(), address.size()) != 0 ||
        ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) < 0 ||
        ::recv(socket, answer, sizeof answer, 0) <= 0) {
      std::fprintf(stderr, "connection %d failed\n", i);
      return 1;
    }
    sockets.push_back(socket);
  }
  const long after = resident_kib(argv[3]);
  std::printf("%d idle connections: %ld KiB resident before, %ld after, %.0f bytes each\n", count,
              before, after, static_cast<double>(after - before) * 1024 / count);
  return 0;
}
