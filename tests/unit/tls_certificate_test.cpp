// Certificates that are wrong, and what is said of each.
#include <gtest/gtest.h>

#include "tests/unit/tls_rig.h"
#include "tls/self_signed.h"

namespace sluice::tls {
namespace {

using tests::authority;
using tests::issue;
using tests::Issued;
using tests::pem_of;
using tests::Wanted;

CertificateReading read(const std::string& chain, const std::string& key) {
  return read_certificate({"chain.pem", chain, "key.pem", key, "", ""}, tests::wall_now());
}

std::string chain_of(const Issued& issued) {
  return pem_of(issued.certificate.get()) + pem_of(authority().certificate.get());
}

std::string encrypted(EVP_PKEY* key) {
  const BioPtr bio{BIO_new(BIO_s_mem())};
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, EVP_aes_256_cbc(), "secret", 6, nullptr, nullptr);
  return tests::taken(bio.get());
}

TEST(TlsCertificate, a_good_one_says_what_it_is) {
  const Issued issued = issue({.names = "DNS:API.example,DNS:*.example,IP:10.0.0.1"}, &authority());
  const auto reading = read(chain_of(issued), pem_of(issued.key.get()));
  ASSERT_TRUE(reading.certificate);
  EXPECT_TRUE(reading.complaints.empty());
  EXPECT_TRUE(reading.warnings.empty()) << reading.warnings.front();
  EXPECT_EQ(reading.certificate->names(), (std::vector<std::string>{"api.example", "*.example"}));
  EXPECT_EQ(reading.certificate->title(), "api.example");
  EXPECT_EQ(reading.certificate->key_type(), KeyType::ecdsa);
  EXPECT_GT(reading.certificate->not_after(), tests::wall_now() + std::chrono::hours{24 * 80});
  EXPECT_EQ(reading.certificate->fingerprint().size(), 64U);
}

TEST(TlsCertificate, what_can_not_be_used_is_said_with_the_file_and_the_remedy) {
  const Issued good = issue({}, &authority());
  const Issued other = issue({}, &authority());
  const Issued weak = issue({.key = "RSA1024"}, &authority());
  const Issued curve = issue({.key = "secp256k1"}, &authority());
  const Issued sha1 = issue({.digest = EVP_sha1()}, &authority());
  const std::string key = pem_of(good.key.get());
  const std::string der = "\x30\x82\x01";
  std::string broken = chain_of(good);
  broken[broken.size() / 4] = '!';
  struct Row {
    std::string chain, key, complaint;
  };
  const Row table[] = {
      {"", key, "chain.pem: holds no certificate; PEM is needed"},
      {"hello", key, "chain.pem: holds no certificate"},
      {der, key, "chain.pem: is DER, and PEM is needed; convert it: openssl x509"},
      {key, key, "chain.pem: holds a private key and no certificate"},
      {broken, key, "chain.pem: a certificate in it is broken"},
      {chain_of(good), "", "key.pem: holds no private key"},
      {chain_of(good), chain_of(good), "key.pem: holds a certificate and no private key"},
      {chain_of(good), encrypted(good.key.get()), "key.pem: is protected by a passphrase"},
      {chain_of(good), "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n",
       "key.pem: the private key in it is broken"},
      {chain_of(good), pem_of(other.key.get()),
       "key.pem: this key does not match the certificate of chain.pem (api.example)"},
      {pem_of(authority().certificate.get()) + pem_of(good.certificate.get()), key,
       "belongs to certificate 2 of this file; put that one first"},
      {chain_of(weak), pem_of(weak.key.get()), "key.pem: an RSA key of 1024 bits"},
      {chain_of(curve), pem_of(curve.key.get()),
       "a key of a kind that clients don't take (the curve secp256k1)"},
      {chain_of(sha1), pem_of(sha1.key.get()),
       "chain.pem: certificate 1 (CN=server) is signed with SHA-1"},
  };
  for (const Row& row : table) {
    const auto reading = read(row.chain, row.key);
    EXPECT_FALSE(reading.certificate) << row.complaint;
    ASSERT_EQ(reading.complaints.size(), 1U) << row.complaint;
    EXPECT_NE(reading.complaints[0].find(row.complaint), std::string::npos)
        << reading.complaints[0];
  }
}

TEST(TlsCertificate, what_clients_will_mind_is_a_warning) {
  const auto days = [](long from, long until) {
    return issue({.from_days = from, .until_days = until}, &authority());
  };
  const Issued expired = days(-10, -1), early = days(2, 10), soon = days(-80, 10);
  const Issued good = issue({}, &authority());
  const Issued no_name = issue({.names = "IP:10.0.0.1"}, &authority());
  const Issued for_clients = issue({.purpose = "clientAuth"}, &authority());
  const Issued stranger = issue({.subject = "A stranger", .names = "", .is_authority = true});
  struct Row {
    std::string chain;
    const Issued& issued;
    std::string warning;
  };
  const Row table[] = {
      {chain_of(expired), expired, "chain.pem: the certificate of api.example expired on 20"},
      {chain_of(early), early, "is not valid before 20"},
      {chain_of(soon), soon, "expires in 9 days, on 20"},
      {pem_of(good.certificate.get()), good,
       "chain.pem: the certificate of the issuer, CN=The authority, is not in this file"},
      {pem_of(good.certificate.get()) + pem_of(stranger.certificate.get()), good,
       "certificate 2 did not issue certificate 1"},
      {chain_of(no_name), no_name, "names no DNS name (subjectAltName)"},
      {chain_of(for_clients), for_clients, "is not for servers (extendedKeyUsage)"},
  };
  for (const Row& row : table) {
    const auto reading = read(row.chain, pem_of(row.issued.key.get()));
    EXPECT_TRUE(reading.certificate) << row.warning;
    ASSERT_EQ(reading.warnings.size(), 1U) << row.warning;
    EXPECT_NE(reading.warnings[0].find(row.warning), std::string::npos) << reading.warnings[0];
  }
}

// Of authority(), about `about`.
std::string ocsp_response(const Issued& about, int status, long until_seconds) {
  const Issued& issuer = authority();
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), about.certificate.get(), issuer.certificate.get());
  ASN1_TIME* from = X509_gmtime_adj(nullptr, -1000);
  ASN1_TIME* until = X509_gmtime_adj(nullptr, until_seconds);
  OCSP_basic_add1_status(basic, id, status, 0, from, from, until);
  OCSP_basic_sign(basic, issuer.certificate.get(), issuer.key.get(), EVP_sha256(), nullptr, 0);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(response, &der);
  std::string text{reinterpret_cast<char*>(der), static_cast<size_t>(size)};
  OPENSSL_free(der);
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(until);
  return text;
}

TEST(TlsCertificate, an_ocsp_response_is_stapled_if_it_says_good_and_still_holds) {
  const Issued good = issue({}, &authority());
  const Issued other = issue({}, &authority());
  struct Row {
    std::string ocsp, warning;
  };
  const Row table[] = {
      {ocsp_response(good, V_OCSP_CERTSTATUS_GOOD, 1000), ""},
      {"hello", "ocsp.der: is not an OCSP response in DER"},
      {ocsp_response(other, V_OCSP_CERTSTATUS_GOOD, 1000), "is about another certificate"},
      {ocsp_response(good, V_OCSP_CERTSTATUS_REVOKED, 1000),
       "says that the certificate is revoked"},
      {ocsp_response(good, V_OCSP_CERTSTATUS_GOOD, -10), "; fetch a new one; nothing is stapled"},
  };
  for (const Row& row : table) {
    const auto reading = read_certificate(
        {"chain.pem", chain_of(good), "key.pem", pem_of(good.key.get()), "ocsp.der", row.ocsp},
        tests::wall_now());
    ASSERT_TRUE(reading.certificate);
    EXPECT_EQ(reading.warnings.empty(), row.warning.empty());
    if (!row.warning.empty()) {
      EXPECT_NE(reading.warnings.at(0).find(row.warning), std::string::npos) << reading.warnings[0];
    }
    const auto context = tests::server_context({.certificates = {reading.certificate}});
    tests::Other client{tests::Other::Side::client};
    SSL_set_tlsext_status_type(client.ssl(), TLSEXT_STATUSTYPE_ocsp);
    tests::End ours{Session::accept(*context)};
    ASSERT_EQ(shake_hands(ours, client), Progress::done);
    unsigned char* stapled = nullptr;
    const long size = SSL_get_tlsext_status_ocsp_resp(client.ssl(), &stapled);
    EXPECT_EQ(size > 0, row.warning.empty()) << row.warning;
  }
}

TEST(TlsCertificate, one_for_trials_vouches_for_itself) {
  const std::vector<std::string> names{"localhost", "*.test.example", "127.0.0.1", "::1"};
  const auto made = make_self_signed(names, std::chrono::hours{24 * 30});
  ASSERT_TRUE(made);
  const auto reading = read(made->chain, made->key);
  ASSERT_TRUE(reading.certificate);
  EXPECT_TRUE(reading.warnings.empty()) << reading.warnings[0];
  EXPECT_EQ(reading.certificate->names(),
            (std::vector<std::string>{"localhost", "*.test.example"}));
  for (const char* name : {"", "a b", ".x", "x.", "a..b", "*", "a,DNS:b", "*.*.x", "a\nb"}) {
    EXPECT_FALSE(make_self_signed(std::vector<std::string>{name}, std::chrono::hours{1})) << name;
  }
}

}  // namespace
}  // namespace sluice::tls
