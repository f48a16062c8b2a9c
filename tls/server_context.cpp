// Builds what a listener speaks, and answers what OpenSSL asks while a client says hello.
#include "tls/server_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "tls/pem.h"
#include "tls/session.h"

namespace sluice::tls {

namespace {

std::string openssl_says() {
  const unsigned long code = ERR_peek_last_error();
  const char* why = ERR_reason_error_string(code);
  ERR_clear_error();
  return why == nullptr ? "OpenSSL will not have it" : why;
}

// What a ticket depends on beside its keys: whoever changes whose certificates are good must see
// them again.
std::array<unsigned char, 32> identity_of(const ServerOptions& options) {
  const std::string whole = std::to_string(static_cast<int>(options.client)) + "\n" +
                            std::to_string(options.client_ca.size()) + "\n" + options.client_ca +
                            options.client_revoked;
  std::array<unsigned char, 32> digest{};
  EVP_Q_digest(nullptr, "SHA256", nullptr, whole.data(), whole.size(), digest.data(), nullptr);
  return digest;
}

}  // namespace

std::string protocol_list(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& protocol : protocols)
    list += static_cast<char>(protocol.size()) + protocol;
  return list;
}

ServerContext::ServerContext(Library& library, const ServerOptions& options)
    : library_(library),
      unknown_name_(options.unknown_name),
      client_(options.client),
      protocols_(protocol_list(options.protocols)),
      identity_(identity_of(options)) {}

std::unique_ptr<ServerContext> ServerContext::make(Library& library, const ServerOptions& options,
                                                   std::string& complaint) {
  if (options.certificates.empty() || options.certificates.size() > certificates_max) {
    complaint = std::to_string(options.certificates.size()) + " certificates; from 1 to " +
                std::to_string(certificates_max) + " are possible";
    return nullptr;
  }
  std::unique_ptr<ServerContext> made{new ServerContext{library, options}};
  made->group_certificates(options.certificates);
  for (Group& group : made->contexts_) {
    if (!made->build(group, options, complaint)) return nullptr;
  }
  return made;
}

// A name's group is all certificates that have it, one of each kind of key.
void ServerContext::group_certificates(const std::vector<SharedCertificate>& certificates) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<SharedCertificate>> of_name;
  for (const SharedCertificate& certificate : certificates) {
    for (const std::string& name : certificate->names()) {
      auto& all = of_name[name];
      if (all.empty()) order.push_back(name);
      const auto is_same_kind = [&](const SharedCertificate& other) {
        return other->key_type() == certificate->key_type();
      };
      if (std::none_of(all.begin(), all.end(), is_same_kind)) all.push_back(certificate);
    }
  }
  const SharedCertificate& first = certificates.front();
  contexts_.push_back({.certificates = {first}});
  if (!first->names().empty()) contexts_.front().certificates = of_name[first->names().front()];
  for (const std::string& name : order) {
    const auto& wanted = of_name[name];
    auto group = std::find_if(contexts_.begin(), contexts_.end(),
                              [&](const Group& one) { return one.certificates == wanted; });
    if (group == contexts_.end())
      group = contexts_.insert(contexts_.end(), {.certificates = wanted});
    names_.add(name, static_cast<uint32_t>(group - contexts_.begin()));
  }
}

bool ServerContext::serves_both(std::string_view one, std::string_view other) const {
  const auto& of_one = contexts_[group_of(one)].certificates;
  const auto& of_other = contexts_[group_of(other)].certificates;
  return std::any_of(of_one.begin(), of_one.end(), [&](const SharedCertificate& certificate) {
    return std::find(of_other.begin(), of_other.end(), certificate) != of_other.end();
  });
}

bool ServerContext::build(Group& group, const ServerOptions& options, std::string& complaint) {
  group.context.reset(SSL_CTX_new_ex(library_.get(), nullptr, TLS_server_method()));
  SSL_CTX* context = group.context.get();
  if (context == nullptr || !apply(options.policy, context)) {
    complaint = "policy " + std::string{to_string(options.policy)} + ": " + openssl_says();
    return false;
  }
  for (const SharedCertificate& certificate : group.certificates) {
    if (!add_certificate(group, *certificate, complaint)) return false;
  }
  SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  SSL_CTX_set_alpn_select_cb(context, on_protocols, this);
  SSL_CTX_set_tlsext_status_cb(context, on_staple);
  SSL_CTX_set_tlsext_status_arg(context, this);
  SSL_CTX_set_info_callback(context, Session::on_info);
  // Stateless: nothing is kept for a client that is gone.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(context, identity_.data(),
                                 static_cast<unsigned>(identity_.size()));
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_timeout(
      context, std::chrono::duration_cast<std::chrono::seconds>(TicketKeys::lifetime).count());
  return verify_clients(context, options, complaint);
}

bool ServerContext::add_certificate(Group& group, const Certificate& certificate,
                                    std::string& complaint) {
  SSL_CTX* context = group.context.get();
  auto chain = read_certificates(certificate.chain(), library_.get());
  const KeyReading read = read_private_key(certificate.key(), library_.get());
  bool is_taken = !chain.empty() && read.key != nullptr &&
                  SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
                  SSL_CTX_use_PrivateKey(context, read.key.get()) == 1;
  for (size_t i = 1; is_taken && i < chain.size(); ++i) {
    // A root at the end is nothing that a client takes from us.
    const bool is_root = X509_NAME_cmp(X509_get_subject_name(chain[i].get()),
                                       X509_get_issuer_name(chain[i].get())) == 0;
    if (!is_root) is_taken = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  }
  if (!is_taken) {
    complaint = "the certificate of " + certificate.title() + ": " + openssl_says();
    return false;
  }
  group.own.push_back(SSL_CTX_get0_certificate(context));
  return true;
}

bool ServerContext::verify_clients(SSL_CTX* context, const ServerOptions& options,
                                   std::string& complaint) {
  if (options.client == ClientCertificate::none) return true;
  X509_STORE* store = library_.trust(options.client_ca, options.client_revoked);
  if (store == nullptr) {
    complaint = "client: the certificates of ca or the lists of crl can't be read";
    return false;
  }
  SSL_CTX_set1_verify_cert_store(context, store);
  SSL_CTX_set_verify(context,
                     options.client == ClientCertificate::required
                         ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                         : SSL_VERIFY_PEER,
                     nullptr);
  for (const X509Ptr& authority : read_certificates(options.client_ca, library_.get()))
    SSL_CTX_add_client_CA(context, authority.get());
  return true;
}

int ServerContext::on_server_name(SSL* ssl, int* alert, void* self) {
  auto& context = *static_cast<ServerContext*>(self);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto found = name == nullptr ? std::nullopt : context.names_.find(name);
  if (!found && context.unknown_name_ == UnknownName::alert) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  const uint32_t group = found.value_or(0);
  Session::of(ssl).note_group(group);
  SSL_CTX* wanted = context.contexts_[group].context.get();
  if (SSL_get_SSL_CTX(ssl) != wanted) SSL_set_SSL_CTX(ssl, wanted);
  return name == nullptr || !found ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

int ServerContext::on_protocols(SSL*, const unsigned char** chosen, unsigned char* size,
                                const unsigned char* offered, unsigned offered_size, void* self) {
  const std::string& ours = static_cast<ServerContext*>(self)->protocols_;
  unsigned char* found = nullptr;
  const int outcome =
      SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size);
  if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

int ServerContext::on_staple(SSL* ssl, void* self) {
  const auto& context = *static_cast<ServerContext*>(self);
  const X509* shown = SSL_get_certificate(ssl);
  for (const Group& group : context.contexts_) {
    const auto at = std::find(group.own.begin(), group.own.end(), shown);
    if (at == group.own.end()) continue;
    const Certificate& certificate =
        *group.certificates[static_cast<size_t>(at - group.own.begin())];
    const std::string& ocsp = certificate.ocsp();
    if (ocsp.empty() || certificate.ocsp_until() <= context.library_.now())
      return SSL_TLSEXT_ERR_NOACK;
    auto* copy = OPENSSL_memdup(ocsp.data(), ocsp.size());
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy),
                                    static_cast<long>(ocsp.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

int ServerContext::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv,
                             EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int is_sealing) {
  Library& library = Session::of(ssl).library();
  const TicketKeys::Key* key = &library.tickets().sealing();
  if (is_sealing == 1) {
    std::memcpy(name, key->name.data(), key->name.size());
    if (RAND_bytes_ex(library.get(), iv, 16, 0) != 1) return -1;
  } else {
    key = library.tickets().find(std::span<const uint8_t, 16>{name, 16});
    if (key == nullptr) return 0;
  }
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<uint8_t*>(key->mac.data()),
                                        key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
      EVP_CipherInit_ex(cipher, library.ticket_cipher(), nullptr, key->cipher.data(), iv,
                        is_sealing) != 1)
    return -1;
  if (is_sealing == 1) return 1;
  // 2 gives a new one: always in TLS 1.3, where each serves once; else when this one is old.
  const bool is_current = key == &library.tickets().sealing();
  return is_current && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

}  // namespace sluice::tls
