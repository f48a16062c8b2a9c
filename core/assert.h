// Assertions, for what only this program can get wrong. What a client, an upstream, a file or the
// kernel can cause is an Error, never an assertion. SLUICE_ASSERT is kept in every build;
// SLUICE_DEBUG_ASSERT costs nothing with NDEBUG.
#pragma once

namespace sluice::core {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace sluice::core

#define SLUICE_ASSERT(expression)                     \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::sluice::core::assertion_failed(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define SLUICE_DEBUG_ASSERT(expression) static_cast<void>(sizeof(static_cast<bool>(expression)))
#else
#define SLUICE_DEBUG_ASSERT(expression) SLUICE_ASSERT(expression)
#endif

#define SLUICE_UNREACHABLE() ::sluice::core::assertion_failed("unreachable", __FILE__, __LINE__)
