// What sessions take of memory: OpenSSL's is counted where it is asked for. The sum that is printed
// at start rests on it.
#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/unit/tls_rig.h"

namespace {

size_t taken = 0;

void* take(size_t size, const char*, int) {
  void* memory = std::malloc(size);
  taken += ::malloc_usable_size(memory);
  return memory;
}
void* take_again(void* old, size_t size, const char*, int) {
  taken -= ::malloc_usable_size(old);
  void* memory = std::realloc(old, size);
  taken += ::malloc_usable_size(memory);
  return memory;
}
void give_back(void* memory, const char*, int) {
  taken -= ::malloc_usable_size(memory);
  std::free(memory);
}
// Before OpenSSL has asked for any.
const bool counts = CRYPTO_set_mem_functions(take, take_again, give_back) == 1;

}  // namespace

namespace sluice::tls {
namespace {

using tests::authority;
using tests::End;
using tests::issue;
using tests::loaded;
using tests::Other;

TEST(TlsMemory, of_a_session_is_within_what_is_printed) {
  ASSERT_TRUE(counts);
  const auto context = tests::server_context({.certificates = {loaded(issue({}, &authority()))}});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (int round = 0; round < 2; ++round) {  // the first time OpenSSL fetches what it needs
      Other client{Other::Side::client};
      client.only(version).ask_for("api.example");
      client.handshake();
      const std::string hello = client.take();
      const size_t before = taken;
      End ours{Session::accept(*context)};
      ours.came = hello;
      ASSERT_EQ(ours.handshake(), Progress::needs_bytes);
      const size_t handshaking = taken - before;
      const std::string flight = ours.take();
      client.give(flight);
      client.handshake();
      const std::string finished = client.take();
      const size_t between = taken;
      ours.came = finished;
      ASSERT_EQ(ours.handshake(), Progress::done);
      const size_t idle = taken - between + handshaking;
      client.give(ours.take());
      client.handshake();
      client.say("a request");
      const std::string request = client.take();
      const size_t asked = taken;
      ours.came = request;
      ASSERT_EQ(ours.read(), Progress::needs_bytes);
      ours.write(std::string(40'000, 'x'));
      const size_t after = taken - asked + idle;
      ours.came = request.substr(0, 3);
      ASSERT_EQ(ours.read(), Progress::needs_bytes);
      const size_t inside = taken - asked + idle;
      std::printf("%s: %zu in the handshake, %zu idle, %zu after a request, %zu inside a record\n",
                  ours.session->version().data(), handshaking, idle, after, inside);
      if (round == 0) continue;
      constexpr size_t idle_bytes_max = 14 * 1024;
      EXPECT_LE(handshaking, session_handshake_bytes_max);
      EXPECT_LE(idle, idle_bytes_max);
      EXPECT_LE(after, idle_bytes_max);
      EXPECT_LE(inside, session_bytes_max);
    }
  }
}

}  // namespace
}  // namespace sluice::tls
