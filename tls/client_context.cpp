// Builds what is spoken to endpoints.
#include "tls/client_context.h"

#include <openssl/err.h>

#include "tls/pem.h"
#include "tls/server_context.h"
#include "tls/session.h"

namespace sluice::tls {

namespace {

bool show(SSL_CTX* context, const Certificate& certificate, OSSL_LIB_CTX* library) {
  const auto chain = read_certificates(certificate.chain(), library);
  const KeyReading read = read_private_key(certificate.key(), library);
  if (chain.empty() || read.key == nullptr) return false;
  bool is_taken = SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
                  SSL_CTX_use_PrivateKey(context, read.key.get()) == 1;
  for (size_t i = 1; is_taken && i < chain.size(); ++i)
    is_taken = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  return is_taken;
}

}  // namespace

std::unique_ptr<ClientContext> ClientContext::make(Library& library, const ClientOptions& options,
                                                   std::string& complaint) {
  std::unique_ptr<ClientContext> made{new ClientContext{library}};
  made->context_.reset(SSL_CTX_new_ex(library.get(), nullptr, TLS_client_method()));
  SSL_CTX* context = made->context_.get();
  const std::string protocols = protocol_list(options.protocols);
  bool is_fine =
      context != nullptr && apply(Policy::intermediate, context) &&
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned>(protocols.size())) == 0;
  if (is_fine && options.certificate != nullptr)
    is_fine = show(context, *options.certificate, library.get());
  if (!is_fine) {
    const char* why = ERR_reason_error_string(ERR_peek_last_error());
    complaint = why == nullptr ? "OpenSSL will not have it" : why;
    ERR_clear_error();
    return nullptr;
  }
  // Kept by whoever knows the endpoint (Session::take_ticket()).
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, Session::on_new_ticket);
  SSL_CTX_set_info_callback(context, Session::on_info);
  if (options.verification == Verification::none) return made;
  X509_STORE* store = library.trust(options.ca, {});
  if (store == nullptr) {
    complaint = "the certificates of ca can't be read";
    return nullptr;
  }
  SSL_CTX_set1_verify_cert_store(context, store);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return made;
}

}  // namespace sluice::tls
