// The connections of one core to one endpoint: idle ones to use again, a bound on all of them, and a queue of exchanges
// that wait for one. Also the retry budget.
#pragma once

#include <cstdint>

#include "core/intrusive_list.h"
#include "proxy/upstream_connection.h"

namespace sluice::proxy {

struct WaitingTag;

enum class Freshness : uint8_t { pooled_will_do, fresh };

class UpstreamPool {
 public:
  enum class Outcome : uint8_t {
    assigned,    // an idle connection, ready to use
    connecting,  // a new one; on_connection() or on_connect_failed() follows
    queued,      // on_connection() follows when one is free
    busy,        // the bound and the queue are full
    failed,      // no descriptor for a new one
  };
  Outcome acquire(Worker& worker, Exchange& exchange, Freshness freshness);
  // The exchange gives up waiting.
  void withdraw(Exchange& exchange);
  // The exchange is done with it, and it may serve another.
  void release(Worker& worker, UpstreamConnection& connection);

  void forget(Worker& worker, UpstreamConnection& connection);  // an idle one closes
  void serve_waiting(Worker& worker);                           // while there is room for new ones
  void close_idle(Worker& worker);

  // At most a fifth of the requests are tried again, and always three a second.
  void note_request(Worker& worker);
  [[nodiscard]] bool may_retry(Worker& worker);

 private:
  void roll_budget(Worker& worker);

  core::IntrusiveList<UpstreamConnection, IdleTag> idle_;  // most recently used first
  core::IntrusiveList<Exchange, WaitingTag> waiting_;
  uint32_t waiting_count_ = 0;
  int64_t budget_second_ = 0;
  uint32_t requests_this_second_ = 0;
  uint32_t retries_this_second_ = 0;
};

}  // namespace sluice::proxy
