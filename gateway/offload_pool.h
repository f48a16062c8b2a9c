// A few ordinary threads for what would block a core: rendering /metrics, signatures
// that take long to check, and the demo's work. Cores hand jobs over
// through a mailbox each and get them back through their postbox; they never lock and never wait.
// The number of jobs a core may have out is bounded (Bounds::offload_jobs); what is above is
// refused by the core itself.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <span>
#include <vector>

#include "core/background.h"
#include "core/kernel.h"
#include "core/mailbox.h"
#include "proxy/offload_queue.h"
#include "proxy/report.h"
#include "proxy/senders.h"

namespace sluice::gateway {

// Where the answers of one worker go.
struct OffloadClient {
  core::Postbox* postbox = nullptr;
  core::Kernel* kernel = nullptr;
};

class OffloadPool {
 public:
  using RenderMetrics =
      std::function<size_t(std::span<char>)>;  // returns the size of the text, 0 if it did not fit

  OffloadPool(uint32_t workers, uint32_t jobs_per_worker, RenderMetrics render);
  ~OffloadPool();
  OffloadPool(const OffloadPool&) = delete;
  OffloadPool& operator=(const OffloadPool&) = delete;

  void set_client(uint32_t worker, OffloadClient client) { clients_[worker] = client; }
  // Why there are not so many threads, or nothing.
  [[nodiscard]] std::optional<std::string> start(uint32_t threads);
  // Finishes what is queued, and joins. No worker submits any more.
  void stop();

  // What worker `worker` hands its jobs over by.
  [[nodiscard]] proxy::OffloadQueue& queue(uint32_t worker) { return *queues_[worker]; }
  // Does one job as thread `thread`; false if there was none. Tests run the pool with this instead
  // of threads.
  bool run_one(uint32_t thread);

 private:
  std::chrono::milliseconds run(uint32_t thread);
  proxy::ExchangeMessage* take();
  void perform(proxy::ExchangeMessage& job);
  static void check_signature(proxy::SignatureJob& job);
  proxy::Report* lend_report();

  static constexpr size_t reports = 4;
  proxy::Senders senders_;
  RenderMetrics render_;
  std::vector<OffloadClient> clients_;
  std::mutex taking_;                       // among the pool's threads only
  std::counting_semaphore<> available_{0};  // jobs in all queues
  std::vector<std::unique_ptr<proxy::OffloadQueue>>
      queues_;  // one a worker; the pool's threads share the receiving side
  std::array<std::unique_ptr<proxy::Report>, reports> reports_;
  std::vector<std::unique_ptr<core::Background>> threads_;
};

}  // namespace sluice::gateway
