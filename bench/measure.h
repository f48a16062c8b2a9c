// One hot part, again and again: its time (Google Benchmark), its allocations, and its instructions
// where the machine counts them. Where it does not, `./dev bench micro --instructions` has
// callgrind count them.
#pragma once

#include <benchmark/benchmark.h>
#include <valgrind/callgrind.h>

#include <cstdint>
#include <utility>

namespace sluice::bench {

// Of this process so far: malloc and whatever calls it.
[[nodiscard]] uint64_t allocations();
// In user space, of this thread so far; 0 where the machine does not count.
[[nodiscard]] uint64_t instructions();
// As often callgrind counts each part, apart from the loop that takes the time.
inline constexpr unsigned counted_times = 1000;

inline void skip(benchmark::State& state) {
  for (auto _ : state) continue;
}

template <typename Part>
void measure(benchmark::State& state, Part&& part) {
  if (RUNNING_ON_VALGRIND) {
    static bool is_counted = false;  // Google Benchmark comes several times
    if (std::exchange(is_counted, true)) return skip(state);
    part();
    CALLGRIND_TOGGLE_COLLECT;
    for (unsigned time = 0; time < counted_times; ++time) part();
    CALLGRIND_TOGGLE_COLLECT;
    return skip(state);
  }
  const uint64_t allocations_before = allocations();
  const uint64_t instructions_before = instructions();
  for (auto _ : state) part();
  const auto count = static_cast<double>(state.iterations());
  if (instructions_before > 0)
    state.counters["instructions"] =
        static_cast<double>(instructions() - instructions_before) / count;
  state.counters["allocations"] = static_cast<double>(allocations() - allocations_before) / count;
}

}  // namespace sluice::bench
