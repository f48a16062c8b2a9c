// What travels between threads on behalf of an exchange. The message is embedded in its exchange,
// which does not go away while it is out; an exchange has at most one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "auth/token_verifier.h"
#include "core/mailbox.h"
#include "core/unset_array.h"
#include "proxy/limit_check.h"

namespace sluice::proxy {

class Exchange;
class CoreGeneration;
struct Report;  // proxy/report.h

enum class MessageKind : uint16_t {
  limit_request,  // to the core that owns the keys
  limit_answer,   // and back
  job_done,       // from the offload pool
  keys,           // from the keeper of keys: a new snapshot, or that there is none
  adopt,          // from the control thread: a new configuration (AdoptMessage)
  announce,       // from the control thread: a drain is about to begin
  yield,          // from the control thread: another process listens; let connections go over
  drain,          // from the control thread: finish what is there
  cut,            // from the control thread: the time to finish is over
  stop,  // from the control thread, when all workers are drained: until then others may ask this
         // one
};

// What the offload pool can do.
enum class Job : uint8_t { render_metrics, burn, check_signature, check_password };

// check_signature and check_password: what to check, with which keys or hash; they live in the
// snapshot that the worker had then.
struct SignatureJob {
  core::UnsetArray<const auth::Key*, auth::candidate_keys_max> keys;
  uint8_t key_count = 0;
  const auth::PasswordUser* user = nullptr;     // of check_password
  uint64_t generation = 0;                      // of the snapshot
  std::string_view text;                        // views into the request
  std::string_view signature;                   // base64url
  auth::Refusal refusal = auth::Refusal::none;  // the answer
};

// From the keeper of keys; one a worker, reused when the worker has acknowledged it.
struct KeysMessage : core::Message {
  CoreGeneration* generation = nullptr;         // whose keys they are
  const auth::KeySnapshot* snapshot = nullptr;  // may be the one that the worker has: nothing new
  uint64_t sequence = 0;
};

struct ExchangeMessage : core::Message {
  Exchange* exchange = nullptr;
  // limit_request and limit_answer
  LimitVisit visit;
  // a job, and job_done
  Job job = Job::burn;
  uint32_t milliseconds = 0;
  Report* report = nullptr;  // of render_metrics; null if there was no room for one
  SignatureJob signature;
};

}  // namespace sluice::proxy
