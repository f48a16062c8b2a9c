// Any bytes as a PROXY protocol header: what is complete stays so with more behind it, what is
// waited for is bounded, and cutting it short never makes something else of it.
#include <cstdint>

#include "proxy/proxy_header.h"
#include "tests/fuzz/require.h"

using namespace sluice;
using State = proxy::ProxyHeader::State;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 8192) return 0;
  const auto bytes = std::as_bytes(std::span{data, size});
  const proxy::ProxyHeader whole = proxy::parse_proxy_header(bytes);
  require(whole.state != State::incomplete || size < proxy::proxy_header_bytes_max,
          "it is waited for without end");
  require(whole.state != State::complete || (whole.size > 0 && whole.size <= size),
          "it ends elsewhere");
  require(!whole.source || whole.source->family() == AF_INET || whole.source->family() == AF_INET6,
          "an address of no family");
  for (size_t cut = 0; cut < size; cut += size / 16 + 1) {
    const proxy::ProxyHeader part = proxy::parse_proxy_header(bytes.first(cut));
    if (whole.state == State::complete) {
      require(part.state == (cut < whole.size ? State::incomplete : State::complete),
              "a part is taken for something else");
    }
    if (part.state == State::broken)
      require(whole.state == State::broken, "what was broken became whole");
  }
  return 0;
}
