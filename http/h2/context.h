// What the HTTP/2 sessions of a core have in common: their memory, and nghttp2's options and
// callbacks, which are made once at start. Outlives its sessions.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>

#include "http/h2/memory.h"

namespace sluice::http::h2 {

class Context {
 public:
  // Throws std::bad_alloc.
  explicit Context(size_t memory_bytes);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] Memory& memory() { return memory_; }

 private:
  friend class Session;
  Memory memory_;
  nghttp2_mem functions_;
  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_option* options_ = nullptr;
};

}  // namespace sluice::http::h2
