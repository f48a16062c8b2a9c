// Builds the BPF program, and judges whether steering still spreads the load.
#include "limiter/steering.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sluice::limiter {

namespace {

// The constants of XXH32 (xxHash's specification, "XXH32 algorithm description").
constexpr uint32_t prime2 = 0x85ebca77;
constexpr uint32_t prime3 = 0xc2b2ae3d;
constexpr uint32_t prime4 = 0x27d4eb2f;
constexpr uint32_t prime5 = 0x165667b1;

class Assembler {
 public:
  void op(uint16_t code, uint32_t operand = 0) { program_.push_back({code, 0, 0, operand}); }
  void alu(uint16_t operation, uint32_t operand) {
    op(static_cast<uint16_t>(BPF_ALU | operation | BPF_K), operand);
  }
  void add_from(uint32_t place) {  // A += M[place]
    op(BPF_LDX | BPF_MEM, place);
    op(BPF_ALU | BPF_ADD | BPF_X);
  }
  void xor_shifted(uint32_t bits) {  // A ^= A >> bits
    op(BPF_MISC | BPF_TAX);
    alu(BPF_RSH, bits);
    op(BPF_ALU | BPF_XOR | BPF_X);
  }
  void rotate_left(uint32_t bits) {
    op(BPF_ST, scratch);
    alu(BPF_LSH, bits);
    op(BPF_MISC | BPF_TAX);
    op(BPF_LD | BPF_MEM, scratch);
    alu(BPF_RSH, 32 - bits);
    op(BPF_ALU | BPF_OR | BPF_X);
  }
  // One step of four bytes, which stand in A; the running hash stands in M[hash].
  void consume_word() {
    alu(BPF_MUL, prime3);
    add_from(hash);
    rotate_left(17);
    alu(BPF_MUL, prime4);
    op(BPF_ST, hash);
  }
  void begin(uint32_t value) {
    op(BPF_LD | BPF_IMM, value);
    op(BPF_ST, hash);
  }
  // The second hash, over the first, and the core.
  void finish(uint32_t second_seed, uint32_t cores) {
    avalanche();
    op(BPF_ST, first);
    begin(second_seed + prime5 + 4);
    op(BPF_LD | BPF_MEM, first);
    consume_word();
    avalanche();
    alu(BPF_MOD, cores);
    op(BPF_RET | BPF_A);
  }
  // A = four bytes of the network header, masked.
  void load(uint32_t offset, uint32_t mask) {
    op(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_NET_OFF) + offset);
    if (mask != UINT32_MAX) alu(BPF_AND, mask);
  }
  size_t jump_unless_equal(uint32_t value) {
    program_.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 0, value});
    return program_.size() - 1;
  }
  void land(size_t jump) { program_[jump].jf = static_cast<uint8_t>(program_.size() - jump - 1); }
  std::vector<sock_filter> take() { return std::move(program_); }

 private:
  void avalanche() {
    op(BPF_LD | BPF_MEM, hash);
    xor_shifted(15);
    alu(BPF_MUL, prime2);
    xor_shifted(13);
    alu(BPF_MUL, prime3);
    xor_shifted(16);
  }

  static constexpr uint32_t hash = 0;
  static constexpr uint32_t scratch = 1;
  static constexpr uint32_t first = 3;
  std::vector<sock_filter> program_;
};

constexpr uint32_t mask_of(unsigned bits) {
  return bits >= 32 ? UINT32_MAX : bits == 0 ? 0 : ~(UINT32_MAX >> bits);
}

}  // namespace

std::vector<sock_filter> steering_program(uint32_t cores, uint64_t seed, NetworkBits bits) {
  // Plus the length, which XXH32 adds for short inputs.
  const uint32_t start = static_cast<uint32_t>(seed) + prime5;
  const auto second_seed = static_cast<uint32_t>(seed >> 32);
  Assembler out;
  out.op(BPF_LD | BPF_B | BPF_ABS, static_cast<uint32_t>(SKF_NET_OFF));
  out.alu(BPF_RSH, 4);  // the IP version
  out.op(BPF_ST, 2);
  const size_t not_ipv4 = out.jump_unless_equal(4);
  out.begin(start + 4);
  out.load(12, mask_of(bits.ipv4));
  out.consume_word();
  out.finish(second_seed, cores);
  out.land(not_ipv4);
  out.op(BPF_LD | BPF_MEM, 2);
  const size_t not_ipv6 = out.jump_unless_equal(6);
  out.begin(start + 8);
  out.load(8, mask_of(bits.ipv6));
  out.consume_word();
  out.load(12, mask_of(bits.ipv6 > 32 ? bits.ipv6 - 32U : 0));
  out.consume_word();
  out.finish(second_seed, cores);
  out.land(not_ipv6);
  out.op(BPF_RET | BPF_K, UINT32_MAX);
  return out.take();
}

double imbalance(std::span<const uint64_t> done) {
  const uint64_t total = std::accumulate(done.begin(), done.end(), uint64_t{0});
  if (total == 0) return 1;
  return static_cast<double>(*std::max_element(done.begin(), done.end())) *
         static_cast<double>(done.size()) / static_cast<double>(total);
}

double SteeringJudge::threshold(size_t cores) { return (1 + static_cast<double>(cores)) / 2; }

bool SteeringJudge::observe(std::span<const uint64_t> done) {
  const uint64_t total = std::accumulate(done.begin(), done.end(), uint64_t{0});
  const bool is_lopsided = total >= requests_min && imbalance(done) > threshold(done.size());
  lopsided_ = is_lopsided ? lopsided_ + 1 : 0;
  return lopsided_ >= seconds;
}

}  // namespace sluice::limiter
