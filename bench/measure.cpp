// Counts allocations by wrapping malloc, and instructions by perf_event_open.
#include "bench/measure.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

// glibc's own, under the names that stay when a program brings functions of its own (glibc manual,
// "Replacing malloc").
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace sluice::bench {

namespace {

std::atomic<uint64_t> allocated{0};

void* count(void* memory) {
  allocated.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

int open_counter() {
  perf_event_attr wanted{};
  wanted.type = PERF_TYPE_HARDWARE;
  wanted.size = sizeof wanted;
  wanted.config = PERF_COUNT_HW_INSTRUCTIONS;
  wanted.exclude_kernel = 1;
  wanted.exclude_hv = 1;
  return static_cast<int>(::syscall(SYS_perf_event_open, &wanted, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

uint64_t allocations() { return allocated.load(std::memory_order_relaxed); }

uint64_t instructions() {
  static const int counter = open_counter();
  uint64_t value = 0;
  return counter >= 0 && ::read(counter, &value, sizeof value) == sizeof value ? value : 0;
}

}  // namespace sluice::bench

extern "C" {
void* malloc(size_t size) { return sluice::bench::count(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) { return sluice::bench::count(__libc_calloc(count, size)); }
void* realloc(void* memory, size_t size) {
  return sluice::bench::count(__libc_realloc(memory, size));
}
void* aligned_alloc(size_t alignment, size_t size) {
  return sluice::bench::count(__libc_memalign(alignment, size));
}
}
