// What a Kernel over io_uring keeps: the ring itself, how it is set up, entered and reaped. Only
// the implementation of the seam (kernel_linux.cpp) and its tests look in here.
#pragma once

#include <liburing.h>

#include <array>
#include <cstdint>
#include <span>

#include "core/kernel.h"
#include "core/limits.h"

namespace sluice::core {

// Tokens of kind 0 are the seam's own.
inline constexpr uint64_t token_ignored = 0;
inline constexpr uint64_t token_wake = 1;

struct Kernel::State {
  io_uring ring{};
  bool ring_is_open = false;
  const char* failed_call = "io_uring_setup";  // what open_ring() could not do
  unsigned enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  int wake_descriptor = -1;
  std::array<io_uring_buf_ring*, buffer_groups> groups{};
  std::array<unsigned, buffer_groups> group_entries{};
  std::array<int, buffer_groups> unpublished{};
  unsigned overflows_seen = 0;
  std::array<Completion, limits::completions_per_turn> batch;
  EngineCounters counters;

  ~State();
  int open_ring(const KernelOptions& options);
  int restrict_and_enable();
  io_uring_sqe* entry(uint64_t user_data);
  unsigned flush_submissions();
  int enter(unsigned wait_for, Duration timeout);
  void arm_wake();
  std::span<const Completion> reap();
};

}  // namespace sluice::core
