// A warmed-up request allocates nothing: counted in the production code alone, over the simulated
// kernel. What the simulated kernel and the world allocate does not count.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "auth/mint.h"
#include "proxy/worker.h"
#include "tests/simulation/actors.h"
#include "tests/simulation/control.h"
#include "tests/simulation/kernel_simulated.h"
#include "tests/simulation/world.h"

namespace {
bool counting = false;
int inside_kernel = 0;
uint64_t allocations = 0;

void* allocate(size_t size) {
  if (counting && inside_kernel == 0) ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc{};
}
void* allocate_aligned(size_t size, size_t alignment) {
  if (counting && inside_kernel == 0) ++allocations;
  if (void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment))
    return memory;
  throw std::bad_alloc{};
}
}  // namespace

void* operator new(size_t size) { return allocate(size); }
void* operator new[](size_t size) { return allocate(size); }
void* operator new(size_t size, std::align_val_t alignment) {
  return allocate_aligned(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return allocate_aligned(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace sluice {
namespace {

using simulation::World;

using simulation::Asker;
using simulation::Responder;

TEST(Allocations, warm_request_path_makes_none) {
  World world{1, {}};
  Responder responder{world};
  Asker asker{world};
  world.listen(9001, &responder);
  config::Config config;
  config::add_upstream(config, "default", core::SocketAddress::ipv4(0x7f000001, 9001),
                       "127.0.0.1:9001");
  config::add_secret_auth(config, "main", "mysecret");
  config.cores = {-1};
  config::add_default_routes(config, {.rate = {1, 1}, .burst = 1'000'000, .delay = 1'000'000});
  config::complete(config);
  config.bounds.limiter_keys = 1000;
  core::KernelUnavailable unavailable;
  auto kernel = core::Kernel::open({}, unavailable);
  core::Postbox postbox{4, 64};
  metrics::LogRing log{1 << 20};
  simulation::Control control{1};
  control.make(config);
  proxy::WorkerOptions options = simulation::worker_options(
      control, 0, *kernel, simulation::adopt(*kernel, world.listen(8000, nullptr)));
  options.peers.push_back({&postbox, kernel.get()});
  options.log = &log;
  proxy::Worker worker{std::move(options)};
  ASSERT_EQ(worker.prepare(), core::Error::none);
  const auto now = std::chrono::floor<std::chrono::seconds>(kernel->wall_now());
  asker.request =
      "GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\nAuthorization: Bearer " +
      auth::mint({.secret = "mysecret",
                  .subject = "s",
                  .issued_at = now,
                  .expires = now + std::chrono::hours{1}}) +
      "\r\n\r\n";
  simulation::on_enter_kernel = [] { ++inside_kernel; };
  simulation::on_leave_kernel = [] { --inside_kernel; };
  for (int i = 0; i < 8; ++i)
    world.send(world.connect_actor(&asker, 8000, 0x0a000001 + static_cast<uint32_t>(i)),
               asker.request);

  uint64_t warm_answers = 0;
  core::Duration timeout = worker.begin_turn();
  while (asker.answers < 4000) {
    simulation::submit(*kernel, timeout);
    simulation::pump(*kernel, true);
    while (!simulation::is_runnable(*kernel)) {
      world.advance_to(std::min(world.next_event(), simulation::wakes_at(*kernel)));
      world.run_due();
      simulation::pump(*kernel, true);
    }
    if (asker.answers > 1000 && warm_answers == 0) warm_answers = asker.answers;
    counting = warm_answers != 0;
    worker.finish_turn(timeout);
    timeout = worker.begin_turn();
    counting = false;
    for (const auto piece : log.readable()) log.consume(piece.size());
  }
  simulation::on_enter_kernel = simulation::on_leave_kernel = nullptr;
  EXPECT_EQ(allocations, 0U) << "in " << asker.answers - warm_answers << " requests";
}

TEST(Allocations, the_counter_counts) {
  counting = true;
  const uint64_t before = allocations;
  auto memory = std::make_unique<int[]>(100);
  counting = false;
  EXPECT_EQ(allocations, before + 1);
  EXPECT_NE(memory, nullptr);
}

}  // namespace
}  // namespace sluice
