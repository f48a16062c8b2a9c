// The questions that this engine rests on, each asked of the kernel it runs on: `./dev bench
// engine`; bench/README.md says which decision each answer stands behind.
#include <benchmark/benchmark.h>

#include "bench/engine/loopback.h"

int main(int argc, char** argv) {
  sluice::bench::pin_benchmark();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
