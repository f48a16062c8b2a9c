// Any bytes as a configuration file: it is good, or there is a complaint that says where.
#include <netdb.h>

#include <cstdint>
#include <string>

#include "config/reader.h"
#include "tests/fuzz/require.h"

// No name has an address here: a fuzzer asks nobody.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
  return EAI_NONAME;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 20'000) return 0;
  const auto reading =
      sluice::config::read_config_text("f", std::string{reinterpret_cast<const char*>(data), size});
  sluice::require(reading.config.has_value() == reading.complaints.empty(), "neither good nor bad");
  for (const std::string& complaint : reading.complaints)
    sluice::require(complaint.starts_with("f:"), "a complaint without a place");
  return 0;
}
