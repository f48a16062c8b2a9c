// Copies between OpenSSL and the spans of a call.
#include "tls/wire_bio.h"

#include <algorithm>
#include <cstring>

namespace sluice::tls {

namespace {

int read_wire(BIO* bio, char* into, size_t size, size_t* taken) {
  BIO_clear_retry_flags(bio);
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  *taken = wire == nullptr ? 0 : std::min(size, wire->in.size());
  if (*taken == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, wire->in.data(), *taken);
  wire->in = wire->in.subspan(*taken);
  return 1;
}

int write_wire(BIO* bio, const char* from, size_t size, size_t* written) {
  BIO_clear_retry_flags(bio);
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  *written = wire == nullptr ? 0 : std::min(size, wire->out.size());
  if (*written == 0) {
    BIO_set_retry_write(bio);
    return 0;
  }
  std::memcpy(wire->out.data(), from, *written);
  wire->out = wire->out.subspan(*written);
  return 1;
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* method() {
  static const MethodPtr made = [] {
    MethodPtr fresh{BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire")};
    BIO_meth_set_read_ex(fresh.get(), read_wire);
    BIO_meth_set_write_ex(fresh.get(), write_wire);
    BIO_meth_set_ctrl(fresh.get(), control);
    BIO_meth_set_create(fresh.get(), create);
    return fresh;
  }();
  return made.get();
}

}  // namespace

BioPtr make_wire_bio() { return BioPtr{BIO_new(method())}; }

void attach(BIO* bio, Wire* wire) { BIO_set_data(bio, wire); }

}  // namespace sluice::tls
