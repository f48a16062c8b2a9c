// What a core's TLS listeners of one kind speak: certificates by name, policy, protocols, and
// whether clients show certificates. Built by a thread that may block, used by one core. It
// outlives the handshakes that began with it; an established session needs it no more.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tls/certificate.h"
#include "tls/library.h"
#include "tls/name_table.h"
#include "tls/policy.h"

namespace sluice::tls {

inline constexpr size_t certificates_max = 1024;  // of one listener

// Whether a client without a server name, or with one that no certificate has, gets the first
// certificate, or an alert.
enum class UnknownName : uint8_t { first_certificate, alert };

enum class ClientCertificate : uint8_t { none, optional, required };

struct ServerOptions {
  std::vector<SharedCertificate> certificates;  // at least one
  Policy policy = Policy::intermediate;
  UnknownName unknown_name = UnknownName::first_certificate;
  std::vector<std::string> protocols{"http/1.1"};  // ALPN, the preferred one first
  ClientCertificate client = ClientCertificate::none;
  std::string client_ca;       // PEM: whose certificates clients may show
  std::string client_revoked;  // PEM: revocation lists; may be empty
};

class ServerContext {
 public:
  // nullptr, and `complaint` says why, if OpenSSL will not have what the options say.
  [[nodiscard]] static std::unique_ptr<ServerContext> make(Library& library,
                                                           const ServerOptions& options,
                                                           std::string& complaint);

  [[nodiscard]] SSL_CTX* get() const { return contexts_.front().context.get(); }
  [[nodiscard]] Library& library() const { return library_; }
  [[nodiscard]] ClientCertificate client() const { return client_; }

  // Which of the groups of certificates serves a name: that of the first certificate for a name
  // that no certificate has.
  [[nodiscard]] uint32_t group_of(std::string_view name) const {
    return names_.find(name).value_or(0);
  }
  // Whether a certificate serves both names: otherwise they are different servers to a client that
  // shows a certificate (RFC 9110 7.4).
  [[nodiscard]] bool serves_both(std::string_view one, std::string_view other) const;

 private:
  // Certificates of different kinds of keys for the same names.
  struct Group {
    std::vector<SharedCertificate> certificates;
    ContextPtr context;
    std::vector<X509*> own;  // as OpenSSL has them, in the order of `certificates`
  };
  ServerContext(Library& library, const ServerOptions& options);
  void group_certificates(const std::vector<SharedCertificate>& certificates);
  [[nodiscard]] bool build(Group& group, const ServerOptions& options, std::string& complaint);
  [[nodiscard]] bool add_certificate(Group& group, const Certificate& certificate,
                                     std::string& complaint);
  [[nodiscard]] bool verify_clients(SSL_CTX* context, const ServerOptions& options,
                                    std::string& complaint);
  static int on_server_name(SSL* ssl, int* alert, void* self);
  static int on_protocols(SSL* ssl, const unsigned char** chosen, unsigned char* size,
                          const unsigned char* offered, unsigned offered_size, void* self);
  static int on_staple(SSL* ssl, void* self);
  static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                       EVP_MAC_CTX* mac, int is_sealing);

  Library& library_;
  UnknownName unknown_name_;
  ClientCertificate client_;
  std::string protocols_;                     // as ALPN has them: length, name
  std::array<unsigned char, 32> identity_{};  // tickets are good where it is the same
  NameTable names_;
  std::vector<Group> contexts_;  // the first is that of the first certificate
};

// "h2", "http/1.1" as ALPN has them on the wire.
[[nodiscard]] std::string protocol_list(const std::vector<std::string>& protocols);

}  // namespace sluice::tls
