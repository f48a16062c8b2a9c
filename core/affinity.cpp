// The affinity mask of the process, and the pinning of a thread.
#include "core/affinity.h"

#include <pthread.h>
#include <sched.h>

namespace sluice::core {

std::vector<int> available_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &mask)) cores.push_back(core);
    }
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

void enter_thread(const std::string& name, int core) {
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
  if (core < 0) return;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(core, &mask);
  ::pthread_setaffinity_np(::pthread_self(), sizeof mask,
                           &mask);  // a refusal costs speed, not correctness
}

}  // namespace sluice::core
