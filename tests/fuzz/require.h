// What a fuzz target says when something is not as it must be.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice {

inline void require(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

}  // namespace sluice
