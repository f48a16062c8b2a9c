// Asks others over HTTP with libcurl, many at once: key servers for their sets, endpoints how they
// are. Bounded in size, time and redirects; a certificate is verified, always. One thread uses one
// of these, and is never kept longer than it says, whatever the other side or DNS do.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"

namespace sluice::gateway {

struct Question {
  std::string url;
  std::string authorities;  // a PEM file, or empty for the system's
  // Shown to whoever asks for one: PEM files; empty: none.
  std::string certificate, key;
  bool believes_anybody = false;  // whatever certificate the other side shows
  std::string host;               // the Host field; empty: that of the URL
  std::string bearer;             // a token that is shown to the URL's host alone; empty: none
  // The connection goes there instead of to the name in the URL; empty: to the name.
  std::string address;    // ADDRESS:PORT
  std::string unix_path;  // of a socket; "@name" for an abstract one
  std::string user_agent;
  std::chrono::milliseconds connect_timeout{0};  // 0: as long as the timeout
  std::chrono::milliseconds timeout{0};
  long redirects_max = 0;
  size_t body_max = 0;
};

struct Fetched {
  std::string complaint;  // empty: the exchange went well
  long status = 0;
  std::string body;
  std::optional<core::Duration> max_age;  // of Cache-Control (RFC 9111 5.2.2)
};

inline constexpr size_t key_set_bytes_max = 1 << 20;

// Once a process, before the first question and before other threads start.
void prepare_fetching();
// What is asked of a key server.
[[nodiscard]] Question key_set_question(const std::string& url, const std::string& authorities);

class Fetcher {
 public:
  using Answers = std::vector<std::pair<uint64_t, Fetched>>;
  Fetcher();
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  // The answer comes with this number. An answer always comes.
  void begin(uint64_t ticket, const Question& question);
  // What has come meanwhile; waits for it at most so long, and not at all if nothing is asked.
  [[nodiscard]] Answers take(std::chrono::milliseconds wait);

 private:
  struct Asked;
  struct Multi;
  std::unique_ptr<Multi> multi_;
  std::map<void*, std::unique_ptr<Asked>> asked_;  // by libcurl's handle
  Answers failed_;                                 // before they began
};

}  // namespace sluice::gateway
