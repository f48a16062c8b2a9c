// A request whose client is waited for, as the lists know it from which room is made: it has
// nothing that others could not use. Embedded in its exchange.
#pragma once

#include "core/clock.h"
#include "core/intrusive_list.h"
#include "proxy/share_table.h"

namespace sluice::proxy {

class Exchange;
struct ClientWaitTag;

struct ClientWaiter : core::ListNode<ClientWaitTag> {
  Exchange* exchange = nullptr;
  Share* share = nullptr;  // of its client's address; nullptr: that is not counted
  core::Instant since{};   // what is waited for began
};

}  // namespace sluice::proxy
