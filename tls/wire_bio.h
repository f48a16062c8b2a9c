// The BIO between OpenSSL and the bytes of a call: reads take from a span of ciphertext that came,
// writes fill a span of room. It keeps nothing between calls, so no byte is copied but into and out
// of OpenSSL's own record buffer.
#pragma once

#include <cstddef>
#include <span>

#include "tls/openssl.h"

namespace sluice::tls {

// What a call may take, and where it may write; each is advanced over what was taken or written.
struct Wire {
  std::span<const std::byte> in;  // ciphertext that came
  std::span<std::byte> out;       // room for ciphertext that leaves
};

// Reads and writes whatever Wire attach() names; without one, it would block both ways.
[[nodiscard]] BioPtr make_wire_bio();
void attach(BIO* bio, Wire* wire);

}  // namespace sluice::tls
