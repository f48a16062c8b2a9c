// Thousands of seeds through the simulated world, or one of them by hand:
//   simulation_test --seeds 100000 [--first N]     simulation_test --seed N [--trace]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/simulation/simulation.h"

int main(int argc, char** argv) {
  using namespace sluice::simulation;
  uint64_t seeds = 1000;
  uint64_t first = 1;
  bool single = false;
  Tracing tracing = Tracing::off;
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--seeds") == 0 && has_value)
      seeds = std::strtoull(argv[++i], nullptr, 10);
    else if (std::strcmp(argv[i], "--first") == 0 && has_value)
      first = std::strtoull(argv[++i], nullptr, 10);
    else if (std::strcmp(argv[i], "--trace") == 0)
      tracing = Tracing::on;
    else if (std::strcmp(argv[i], "--seed") == 0 && has_value) {
      first = std::strtoull(argv[++i], nullptr, 10);
      single = true;
    } else {
      std::fprintf(stderr, "usage: %s [--seeds N] [--first N] [--seed N [--trace]]\n", argv[0]);
      return 2;
    }
  }
  if (single) seeds = 1;
  uint64_t asked = 0;
  uint64_t answered = 0;
  uint64_t ok = 0;
  uint64_t steps = 0;
  uint64_t spliced = 0;
  uint64_t tunnels = 0;
  uint64_t reloads = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const Outcome outcome = simulate(seed, tracing);
    asked += outcome.asked;
    answered += outcome.answered;
    ok += outcome.ok;
    steps += outcome.steps;
    spliced += outcome.spliced_bytes;
    tunnels += outcome.tunnels;
    reloads += outcome.reloads;
    if (!outcome.violation.empty()) {
      std::printf("seed %llu, step %llu: %s\nreplay: ./dev simulate --seed %llu --trace\n",
                  static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(outcome.steps), outcome.violation.c_str(),
                  static_cast<unsigned long long>(seed));
      return 1;
    }
  }
  std::printf(
      "%llu seeds: %llu steps, %llu requests, %llu answers, %llu of them 200, %llu tunnels, %llu "
      "reloads, %llu bytes not copied; no "
      "violation\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(steps),
      static_cast<unsigned long long>(asked), static_cast<unsigned long long>(answered),
      static_cast<unsigned long long>(ok), static_cast<unsigned long long>(tunnels),
      static_cast<unsigned long long>(reloads), static_cast<unsigned long long>(spliced));
  return 0;
}
