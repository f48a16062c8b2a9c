// Any bytes before and in a handshake: what is called a whole ClientHello is one to OpenSSL as far
// as its length goes, pieces change nothing, and a session neither crashes nor reads plaintext.
#include <openssl/err.h>

#include <array>
#include <cstdint>
#include <vector>

#include "tests/fuzz/require.h"
#include "tls/hello.h"
#include "tls/self_signed.h"
#include "tls/session.h"

namespace {

using namespace sluice::tls;
using sluice::require;

std::unique_ptr<ServerContext> make_context(ClientCertificate client) {
  static Library library{TicketKeys::seed({1}, {})};
  const std::vector<std::string> names{"api.example", "*.example"};
  const auto made = make_self_signed(names, std::chrono::hours{24});
  auto reading = read_certificate({"chain", made->chain, "key", made->key, "", ""},
                                  sluice::core::WallTime{std::chrono::hours{24 * 365 * 50}});
  std::string complaint;
  return ServerContext::make(
      library, {.certificates = {reading.certificate}, .client = client, .client_ca = made->chain},
      complaint);
}

Failure run(ServerContext& context, std::span<const std::byte> bytes, size_t piece) {
  const auto session = Session::accept(context);
  std::array<std::byte, 32 * 1024> room;
  std::array<std::byte, 1024> into;
  while (!bytes.empty() && session->state() == State::handshaking) {
    Wire wire{bytes.subspan(0, std::min(piece, bytes.size())), room};
    const size_t offered = wire.in.size();
    const Step step = session->handshake(wire);
    bytes = bytes.subspan(offered - wire.in.size());
    if (step.progress == Progress::needs_bytes && offered == wire.in.size()) break;
  }
  require(session->state() != State::established, "nobody guesses a handshake");
  Wire wire{bytes, room};
  require(session->read(wire, into).bytes == 0, "plaintext out of nothing");
  session->close(wire);
  return session->failure();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto plain = make_context(ClientCertificate::none);
  static const auto asking = make_context(ClientCertificate::optional);
  const auto bytes = std::as_bytes(std::span{data, size});
  const HelloState whole = examine_hello(bytes);
  // Once it is something, more bytes don't change it.
  HelloState before = HelloState::incomplete;
  for (size_t have = 0; have <= std::min<size_t>(size, 600); ++have) {
    const HelloState now = examine_hello(bytes.subspan(0, have));
    require(before == HelloState::incomplete || now == before, "another answer with more bytes");
    before = now;
  }
  const Failure at_once = run(*plain, bytes, size);
  require(run(*plain, bytes, 7) == at_once || size > 4096, "pieces change the outcome");
  if (whole == HelloState::incomplete && size < hello_bytes_max && size > 0 && data[0] == 22)
    require(at_once == Failure::none || at_once == Failure::malformed ||
                at_once == Failure::version || at_once == Failure::refused_by_peer,
            "judged before it is whole");
  static_cast<void>(run(*asking, bytes, size));
  return 0;
}
