// One library context, and the trust stores in it.
#include "tls/library.h"

#include <openssl/provider.h>
#include <openssl/rand.h>

#include <stdexcept>

#include "tls/pem.h"

namespace sluice::tls {

Library::Library(const TicketSeed& seed) : library_(OSSL_LIB_CTX_new()), tickets_(seed) {
  // Without a configuration file of the system's: what is spoken, the policy says.
  ticket_cipher_.reset(EVP_CIPHER_fetch(library_.get(), "AES-256-CBC", nullptr));
  if (library_ == nullptr || ticket_cipher_ == nullptr)
    throw std::runtime_error{"OpenSSL gives no library context"};
}

void Library::advance_tickets() {
  tickets_.advance(now_);
  tickets_due_ =
      core::WallTime{TicketKeys::period * (now_.time_since_epoch() / TicketKeys::period + 1)};
}

X509_STORE* Library::trust(const std::string& pem, const std::string& revoked_pem) {
  const auto [place, is_new] = stores_.try_emplace({pem, revoked_pem});
  if (!is_new) return place->second.get();
  const auto anchors = read_certificates(pem, library_.get());
  const auto lists = read_revocation_lists(revoked_pem, library_.get());
  if (anchors.empty() || lists.empty() != revoked_pem.empty()) {
    stores_.erase(place);
    return nullptr;
  }
  StorePtr store{X509_STORE_new()};
  for (const X509Ptr& anchor : anchors) X509_STORE_add_cert(store.get(), anchor.get());
  for (const CrlPtr& list : lists) X509_STORE_add_crl(store.get(), list.get());
  if (!lists.empty()) X509_STORE_set_flags(store.get(), X509_V_FLAG_CRL_CHECK);
  // An intermediate that the file names is trusted like a root.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  place->second = std::move(store);
  return place->second.get();
}

}  // namespace sluice::tls
