// What an exchange has out: its one message, to another core or to the offload pool, and what came
// back with it. The exchange stays until it is back.
#pragma once

#include "proxy/message.h"
#include "proxy/report.h"
#include "proxy/station.h"

namespace sluice::proxy {

class Errand {
 public:
  void bind(Exchange& exchange) { message_.exchange = &exchange; }
  [[nodiscard]] bool is_out() const { return is_out_; }
  [[nodiscard]] ExchangeMessage& message() { return message_; }
  // To the core that owns what message().visit asks for.
  void ask(Station& station, uint32_t owner) {
    message_.kind = static_cast<uint16_t>(MessageKind::limit_request);
    is_out_ = true;
    station.counters.limit_remote.add();
    station.post(owner, message_);
  }
  // To the offload pool. False: it has too much to do.
  [[nodiscard]] bool submit(Station& station, Job job) {
    message_.job = job;
    message_.report = nullptr;
    is_out_ = station.submit(message_);
    (is_out_ ? station.counters.offload_jobs : station.counters.offload_refused).add();
    return is_out_;
  }
  void come_back() { is_out_ = false; }
  // The text of a report is lent until it has left.
  [[nodiscard]] Report* report() const { return message_.report; }
  void give_back_report() {
    if (message_.report != nullptr) message_.report->give_back();
  }

 private:
  ExchangeMessage message_;
  bool is_out_ = false;
};

}  // namespace sluice::proxy
