// What travels between threads on behalf of an exchange. The message is embedded in its exchange, which does not go away
// while it is out; an exchange has at most one.
#pragma once

#include <cstdint>

#include "core/mailbox.h"
#include "proxy/limit_check.h"

namespace sluice::proxy {

class Exchange;
struct Report;

enum class MessageKind : uint16_t {
  limit_request,  // to the core that owns the keys
  limit_answer,   // and back
  job_done,       // from the offload pool
  drain,          // from the control thread: finish what is there
  cut,            // from the control thread: the time to finish is over
  stop,           // from the control thread, when all workers are drained: until then others may ask this one
};

// What the offload pool can do.
enum class Job : uint8_t { render_metrics, burn };

struct ExchangeMessage : core::Message {
  Exchange* exchange = nullptr;
  // limit_request and limit_answer
  LimitVisit visit;
  // a job, and job_done
  Job job = Job::burn;
  uint32_t milliseconds = 0;
  Report* report = nullptr;  // of render_metrics; null if there was no room for one
};

}  // namespace sluice::proxy
