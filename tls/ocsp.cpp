// Judges an OCSP response before it is stapled.
#include "tls/ocsp.h"

#include <openssl/err.h>

#include <memory>

#include "tls/certificate.h"
#include "tls/pem.h"

namespace sluice::tls {

namespace {

using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, FreeWith<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, FreeWith<OCSP_BASICRESP_free>>;
using IdPtr = std::unique_ptr<OCSP_CERTID, FreeWith<OCSP_CERTID_free>>;

bool is_signed_by(OCSP_BASICRESP* basic, X509* issuer) {
  const StorePtr store{X509_STORE_new()};
  X509_STORE_add_cert(store.get(), issuer);
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  STACK_OF(X509)* extra = sk_X509_new_null();
  sk_X509_push(extra, issuer);
  const bool fits = OCSP_basic_verify(basic, extra, store.get(), 0) == 1;
  sk_X509_free(extra);
  ERR_clear_error();
  return fits;
}

}  // namespace

OcspReading judge_ocsp(std::string_view der, std::span<const X509Ptr> chain, core::WallTime now) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  const ResponsePtr response{d2i_OCSP_RESPONSE(nullptr, &data, static_cast<long>(der.size()))};
  ERR_clear_error();
  if (response == nullptr)
    return {"is not an OCSP response in DER, as openssl ocsp -respout writes it"};
  if (OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return {"the responder said \"" +
            std::string{OCSP_response_status_str(OCSP_response_status(response.get()))} + "\""};
  if (chain.size() < 2) return {"can't be checked without the issuer's certificate in the chain"};
  const BasicPtr basic{OCSP_response_get1_basic(response.get())};
  if (basic == nullptr || !is_signed_by(basic.get(), chain[1].get()))
    return {"is not signed by the issuer of the certificate"};
  int status = 0;
  ASN1_GENERALIZEDTIME* from = nullptr;
  ASN1_GENERALIZEDTIME* until = nullptr;
  bool is_about_it = false;
  for (const EVP_MD* digest : {EVP_sha1(), EVP_sha256()}) {
    const IdPtr id{OCSP_cert_to_id(digest, chain[0].get(), chain[1].get())};
    is_about_it = is_about_it || OCSP_resp_find_status(basic.get(), id.get(), &status, nullptr,
                                                       nullptr, &from, &until) == 1;
  }
  if (!is_about_it) return {"is about another certificate"};
  if (status != V_OCSP_CERTSTATUS_GOOD)
    return {"says that the certificate is " + std::string{OCSP_cert_status_str(status)}};
  if (until == nullptr) return {"does not say how long it holds"};
  if (to_wall_time(until) <= now) return {"held until " + in_words(until) + "; fetch a new one"};
  return {.until = to_wall_time(until)};
}

}  // namespace sluice::tls
