// How a core speaks TLS to the endpoints of an upstream: whom it trusts, which certificate it
// shows. Built by a thread that may block, used by one core.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tls/certificate.h"
#include "tls/library.h"
#include "tls/policy.h"

namespace sluice::tls {

enum class Verification : uint8_t { none, full };

struct ClientOptions {
  Verification verification = Verification::full;
  std::string ca;                 // PEM: whose certificates endpoints may show
  SharedCertificate certificate;  // ours; may be nullptr
  std::vector<std::string> protocols{"http/1.1"};
};

class ClientContext {
 public:
  // nullptr, and `complaint` says why, if OpenSSL will not have what the options say.
  [[nodiscard]] static std::unique_ptr<ClientContext> make(Library& library,
                                                           const ClientOptions& options,
                                                           std::string& complaint);
  [[nodiscard]] SSL_CTX* get() const { return context_.get(); }
  [[nodiscard]] Library& library() const { return library_; }

 private:
  explicit ClientContext(Library& library) : library_(library) {}
  Library& library_;
  ContextPtr context_;
};

}  // namespace sluice::tls
