// Opens pipes as they are needed and keeps them for the next body.
#include "core/pipe_pool.h"

#include "core/assert.h"
#include "core/limits.h"

namespace sluice::core {

PipePool::~PipePool() {
  for (Pipe& pipe : free_) kernel_.close_pipe(pipe);
}

Pipe PipePool::take() {
  if (!free_.empty()) {
    const Pipe pipe = free_.back();
    free_.pop_back();
    ++taken_;
    return pipe;
  }
  if (left_ > 0) {
    if (const auto opened = kernel_.open_pipe(limits::pipe_bytes)) {
      Pipe pipe = opened.value();
      // Beyond its user's share (pipe-user-pages-soft) the kernel gives pipes of one or two pages.
      if (pipe.capacity >= limits::pipe_bytes_min) {
        --left_;
        ++taken_;
        return pipe;
      }
      kernel_.close_pipe(pipe);
    }
  }
  misses.add();
  return {};
}

void PipePool::give_back(Pipe& pipe) {
  SLUICE_ASSERT(pipe.is_open() && taken_ > 0);
  free_.push_back(pipe);
  --taken_;
  pipe = {};
}

void PipePool::discard(Pipe& pipe) {
  SLUICE_ASSERT(pipe.is_open() && taken_ > 0);
  kernel_.close_pipe(pipe);
  ++left_;
  --taken_;
  pipe = {};
}

}  // namespace sluice::core
