// The suite over the simulated kernel, in calm weather.
#include "tests/contract/contract.h"
#include "tests/simulation/kernel_simulated.h"
#include "tests/simulation/world.h"

namespace sluice::contract {
namespace {

using simulation::SocketId;
using simulation::World;

struct Quiet : simulation::Actor {
  void on_socket(SocketId) override {}
};

class SimulatedFar : public Far {
 public:
  SimulatedFar(World& world, SocketId socket) : world_(world), socket_(socket) {}
  size_t write(std::string_view bytes) override { return world_.send(socket_, bytes); }
  std::string read() override { return world_.take(socket_, SIZE_MAX); }
  bool saw_fin() override {
    return world_.socket(socket_).received.empty() && world_.socket(socket_).fin_received;
  }
  bool saw_reset() override { return world_.socket(socket_).reset; }
  void finish() override { world_.shutdown_write(socket_); }
  void reset() override { world_.reset(socket_); }

 private:
  World& world_;
  SocketId socket_;
};

class SimulatedRig : public Rig {
 public:
  SimulatedRig() : world_(1, {}) {
    core::KernelUnavailable unavailable;
    kernel_ = core::Kernel::open({}, unavailable);
    listener_ = simulation::adopt(*kernel_, world_.listen(8000, nullptr));
    world_.listen(9001, &quiet_);
  }
  core::Kernel& kernel() override { return *kernel_; }
  int listener() override { return listener_; }
  core::SocketAddress far_listener() override {
    return core::SocketAddress::ipv4(0x7f000001, 9001);
  }
  core::SocketAddress nobody() override { return core::SocketAddress::ipv4(0x7f000001, 9); }
  std::unique_ptr<Far> connect() override {
    return std::make_unique<SimulatedFar>(world_, world_.connect_actor(&quiet_, 8000, 0x7f000001));
  }
  std::vector<core::Completion> wait(size_t count) override {
    std::vector<core::Completion> all;
    for (int rounds = 0; rounds < 200 && all.size() < count; ++rounds) {
      simulation::submit(*kernel_, core::Duration{0});
      simulation::pump(*kernel_, true);
      const auto completions = kernel_->submit_and_wait(core::Duration{0});
      all.insert(all.end(), completions.begin(), completions.end());
      if (completions.empty()) {
        if (world_.next_event() == core::Instant::max()) break;
        world_.advance_to(world_.next_event());
        world_.run_due();
      }
    }
    return all;
  }

 private:
  Quiet quiet_;
  World world_;
  std::unique_ptr<core::Kernel> kernel_;
  int listener_ = -1;
};

}  // namespace

std::unique_ptr<Rig> make_rig() { return std::make_unique<SimulatedRig>(); }

}  // namespace sluice::contract
