#include "proxy/offload_pool.h"

#include <chrono>

#include "core/affinity.h"

namespace sluice::proxy {

OffloadPool::OffloadPool(uint32_t workers, uint32_t jobs_per_worker, uint16_t sender_base, RenderMetrics render)
    : sender_base_(sender_base), render_(std::move(render)), clients_(workers) {
  for (uint32_t worker = 0; worker < workers; ++worker) queues_.push_back(std::make_unique<core::Mailbox>(jobs_per_worker));
  for (auto& report : reports_) report = std::make_unique_for_overwrite<Report>();
}

OffloadPool::~OffloadPool() { stop(); }

void OffloadPool::start(uint32_t threads) {
  for (uint32_t thread = 0; thread < threads; ++thread) threads_.emplace_back([this, thread] { run(thread); });
}

void OffloadPool::stop() {
  stopping_ = true;
  available_.release(static_cast<std::ptrdiff_t>(threads_.size()));
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool OffloadPool::submit(uint32_t worker, ExchangeMessage& job) {
  job.sender = static_cast<uint16_t>(worker);
  if (!queues_[worker]->post(job)) return false;
  available_.release();
  return true;
}

void OffloadPool::run(uint32_t thread) {
  core::enter_thread("sluice-pool" + std::to_string(thread), -1);
  while (true) {
    available_.acquire();
    if (!run_one(thread) && stopping_) return;
  }
}

ExchangeMessage* OffloadPool::take() {
  const std::lock_guard lock{taking_};
  for (auto& queue : queues_) {
    if (core::Message* message = queue->take(); message != nullptr) return static_cast<ExchangeMessage*>(message);
  }
  return nullptr;
}

bool OffloadPool::run_one(uint32_t thread) {
  ExchangeMessage* job = take();
  if (job == nullptr) return false;
  perform(*job);
  const OffloadClient& client = clients_[job->sender];
  job->kind = static_cast<uint16_t>(MessageKind::job_done);
  // Sized by the jobs that a worker can have out: never full.
  SLUICE_ASSERT(client.postbox->post(sender_base_ + thread, *job));
  if (client.postbox->claim_doorbell()) client.kernel->wake();
  return true;
}

Report* OffloadPool::lend_report() {
  for (auto& report : reports_) {
    if (!report->is_lent.exchange(true, std::memory_order_acquire)) return report.get();
  }
  return nullptr;
}

void OffloadPool::check_signature(SignatureJob& job) {
  for (uint8_t index = 0; index < job.key_count; ++index) {
    auth::SignatureChecker checker{*job.keys[index]};
    job.refusal = auth::check_signature(checker, *job.keys[index], job.text, job.signature);
    if (job.refusal != auth::Refusal::signature) return;
  }
}

void OffloadPool::perform(ExchangeMessage& job) {
  switch (job.job) {
    case Job::burn: {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{job.milliseconds};
      while (std::chrono::steady_clock::now() < end) {
      }
      break;
    }
    case Job::check_signature: check_signature(job.signature); break;
    case Job::render_metrics:
      job.report = lend_report();
      if (job.report == nullptr) break;
      job.report->size = render_(job.report->text);
      if (job.report->size == 0) {
        job.report->give_back();
        job.report = nullptr;
      }
      break;
  }
}

}  // namespace sluice::proxy
