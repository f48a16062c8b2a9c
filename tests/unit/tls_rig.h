// Certificates to measure, and OpenSSL itself at the other end of a session, over buffers.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tls/session.h"

namespace sluice::tests {

struct Issued {
  tls::X509Ptr certificate;
  tls::KeyPtr key;
};

// What a certificate shall say.
struct Wanted {
  std::string subject = "server";
  std::string names = "DNS:api.example";  // as OpenSSL's configuration has them; empty: none
  const char* key = "P-256";              // a curve, "RSA", "RSA1024", or "ED25519"
  long from_days = -1, until_days = 90;
  const EVP_MD* digest = EVP_sha256();
  bool is_authority = false;
  std::string purpose = "serverAuth,clientAuth";
};

inline tls::KeyPtr make_key(std::string_view kind) {
  if (kind == "RSA" || kind == "RSA1024")
    return tls::KeyPtr{
        EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{kind == "RSA" ? 2048U : 1024U})};
  if (kind == "ED25519") return tls::KeyPtr{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
  return tls::KeyPtr{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", std::string{kind}.c_str())};
}

inline void extend(X509* certificate, int kind, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// By `issuer`, or by itself.
inline Issued issue(const Wanted& wanted, const Issued* issuer = nullptr) {
  static long serial = 0x1000;
  Issued made{tls::X509Ptr{X509_new()}, make_key(wanted.key)};
  X509* x = made.certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  constexpr long day = 86400;
  X509_gmtime_adj(X509_getm_notBefore(x), wanted.from_days * day);
  X509_gmtime_adj(X509_getm_notAfter(x), wanted.until_days * day);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wanted.subject.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer->certificate.get()));
  X509_set_pubkey(x, made.key.get());
  extend(x, NID_basic_constraints, wanted.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!wanted.names.empty()) extend(x, NID_subject_alt_name, wanted.names);
  if (!wanted.purpose.empty() && !wanted.is_authority) extend(x, NID_ext_key_usage, wanted.purpose);
  EVP_PKEY* signer = issuer == nullptr ? made.key.get() : issuer->key.get();
  X509_sign(x, signer, EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? nullptr : wanted.digest);
  return made;
}

inline std::string taken(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text{data, static_cast<size_t>(size)};
  BIO_reset(bio);
  return text;
}

inline std::string pem_of(const X509* certificate) {
  const tls::BioPtr bio{BIO_new(BIO_s_mem())};
  PEM_write_bio_X509(bio.get(), certificate);
  return taken(bio.get());
}

inline std::string pem_of(EVP_PKEY* key) {
  const tls::BioPtr bio{BIO_new(BIO_s_mem())};
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return taken(bio.get());
}

inline const Issued& authority() {
  static const Issued made = issue({.subject = "The authority", .names = "", .is_authority = true});
  return made;
}

inline core::WallTime wall_now() {
  return core::WallTime{std::chrono::system_clock::now().time_since_epoch()};
}

// Issued by authority(), with it in the chain.
inline tls::SharedCertificate loaded(const Issued& issued, const std::string& ocsp = {}) {
  auto reading = tls::read_certificate(
      {"chain.pem", pem_of(issued.certificate.get()) + pem_of(authority().certificate.get()),
       "key.pem", pem_of(issued.key.get()), "ocsp.der", ocsp},
      wall_now());
  for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
  return reading.certificate;
}

inline tls::TicketSeed seed_of_tests() { return tls::TicketKeys::seed({1, 2, 3}, wall_now()); }

inline tls::Library& library() {
  static tls::Library made{seed_of_tests()};
  made.set_time(wall_now());
  return made;
}

inline std::unique_ptr<tls::ServerContext> server_context(const tls::ServerOptions& options,
                                                          tls::Library& of = library()) {
  std::string complaint;
  auto made = tls::ServerContext::make(of, options, complaint);
  EXPECT_NE(made, nullptr) << complaint;
  return made;
}

inline std::unique_ptr<tls::ClientContext> client_context(const tls::ClientOptions& options) {
  std::string complaint;
  auto made = tls::ClientContext::make(library(), options, complaint);
  EXPECT_NE(made, nullptr) << complaint;
  return made;
}

// OpenSSL, as another program would use it.
class Other {
 public:
  enum class Side : uint8_t { client, server };
  explicit Other(Side side)
      : context_(SSL_CTX_new(side == Side::client ? TLS_client_method() : TLS_server_method())),
        side_(side) {}

  SSL_CTX* context() { return context_.get(); }
  // The session is made with the first use of it; the context is to be set up before.
  SSL* ssl() {
    if (ssl_ == nullptr) {
      ssl_.reset(SSL_new(context_.get()));
      SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
      if (side_ == Side::client) SSL_set_connect_state(ssl_.get());
      if (side_ == Side::server) SSL_set_accept_state(ssl_.get());
    }
    return ssl_.get();
  }
  Other& ask_for(const char* name) {
    SSL_set_tlsext_host_name(ssl(), name);
    return *this;
  }
  Other& only(int version) {
    SSL_CTX_set_security_level(context(), 0);
    SSL_CTX_set_min_proto_version(context(), version);
    SSL_CTX_set_max_proto_version(context(), version);
    return *this;
  }
  Other& show(const Issued& issued) {
    SSL_CTX_use_certificate(context(), issued.certificate.get());
    SSL_CTX_use_PrivateKey(context(), issued.key.get());
    return *this;
  }
  Other& offer(std::string_view protocols) {
    SSL_set_alpn_protos(ssl(), reinterpret_cast<const unsigned char*>(protocols.data()),
                        static_cast<unsigned>(protocols.size()));
    return *this;
  }
  void handshake() { outcome_ = SSL_do_handshake(ssl()); }
  [[nodiscard]] bool is_done() { return SSL_is_init_finished(ssl()) == 1; }
  void say(std::string_view text) {
    ASSERT_EQ(SSL_write(ssl(), text.data(), static_cast<int>(text.size())),
              static_cast<int>(text.size()));
  }
  std::string hear() {
    std::string text(100'000, '\0');
    size_t have = 0;
    for (int got;
         (got = SSL_read(ssl(), text.data() + have, static_cast<int>(text.size() - have))) > 0;)
      have += static_cast<size_t>(got);
    text.resize(have);
    return text;
  }
  std::string take() { return taken(SSL_get_wbio(ssl())); }
  void give(std::string_view bytes) {
    if (!bytes.empty())
      BIO_write(SSL_get_rbio(ssl()), bytes.data(), static_cast<int>(bytes.size()));
  }

 private:
  tls::ContextPtr context_;
  tls::SslPtr ssl_;
  Side side_;
  int outcome_ = 0;
};

// A session with buffers around it. `room` is what each call gets for ciphertext.
struct End {
  explicit End(std::unique_ptr<tls::Session> made, size_t room_bytes = 64 * 1024)
      : session(std::move(made)), room(room_bytes) {}

  std::unique_ptr<tls::Session> session;
  size_t room;
  std::string came;    // not yet used
  std::string leaves;  // not yet delivered
  std::string heard;   // plaintext

  // Runs `call` with a wire, and keeps the books.
  template <typename Call>
  auto with_wire(Call&& call) {
    std::vector<std::byte> out(room);
    tls::Wire wire{std::as_bytes(std::span{came}), out};
    auto result = call(wire);
    came.erase(0, came.size() - wire.in.size());
    const size_t written = out.size() - wire.out.size();
    leaves.append(reinterpret_cast<const char*>(out.data()), written);
    return result;
  }
  tls::Progress handshake() {
    tls::Step step;
    do {
      step = with_wire([&](tls::Wire& wire) { return session->handshake(wire); });
    } while (step.progress == tls::Progress::needs_room);
    return step.progress;
  }
  tls::Progress read() {
    tls::Step step;
    std::vector<std::byte> into(10'000);
    do {
      step = with_wire([&](tls::Wire& wire) { return session->read(wire, into); });
      heard.append(reinterpret_cast<const char*>(into.data()), step.bytes);
    } while (step.progress == tls::Progress::needs_room || step.progress == tls::Progress::done);
    return step.progress;
  }
  void write(std::string_view text) {
    auto rest = std::as_bytes(std::span{text});
    while (!rest.empty()) {
      const tls::Step step = with_wire([&](tls::Wire& wire) { return session->write(wire, rest); });
      rest = rest.subspan(step.bytes);
      ASSERT_NE(step.progress, tls::Progress::failed);
      if (step.bytes == 0) FAIL() << "nothing goes on";
    }
  }
  void close() {
    with_wire([&](tls::Wire& wire) {
      session->close(wire);
      return 0;
    });
  }
  std::string take() { return std::exchange(leaves, {}); }
};

// Until both have nothing to say. Returns how the session's side stands.
inline tls::Progress shake_hands(End& ours, Other& other) {
  tls::Progress progress = tls::Progress::needs_bytes;
  for (int round = 0; round < 10; ++round) {
    other.handshake();
    ours.came += other.take();
    progress = ours.handshake();
    other.give(ours.take());
    if (progress == tls::Progress::failed) break;
  }
  other.handshake();
  return progress;
}

}  // namespace sluice::tests
