// Sessions against OpenSSL at the other end: whatever the pieces, the room and the order are, what
// is said is what is heard, and what is wrong has its name.
#include <gtest/gtest.h>

#include "tests/unit/tls_rig.h"
#include "tls/hello.h"
#include "tls/peer_facts.h"

namespace sluice::tls {
namespace {

using tests::authority;
using tests::End;
using tests::issue;
using tests::Issued;
using tests::loaded;
using tests::Other;
using tests::pem_of;
using tests::server_context;
using tests::shake_hands;

const Issued& server_ecdsa() {
  static const Issued made = issue({.names = "DNS:api.example,DNS:*.wild.example"}, &authority());
  return made;
}
const Issued& server_rsa() {
  static const Issued made =
      issue({.names = "DNS:api.example,DNS:*.wild.example", .key = "RSA"}, &authority());
  return made;
}
const Issued& server_other() {
  static const Issued made =
      issue({.subject = "other", .names = "DNS:other.example"}, &authority());
  return made;
}
const Issued& customer() {
  static const Issued made =
      issue({.subject = "customer", .names = "URI:spiffe://example/customer,email:a@example"},
            &authority());
  return made;
}

ServerOptions plain_options() { return {.certificates = {loaded(server_ecdsa())}}; }

struct Client : Other {
  Client() : Other(Side::client) {}
};
struct Server : Other {
  Server() : Other(Side::server) {}
};

constexpr int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

TEST(TlsSession, talks_in_both_versions) {
  const auto context = server_context(plain_options());
  for (const int version : versions) {
    Client client;
    client.only(version).ask_for("api.example").offer("\x08http/1.1");
    End ours{Session::accept(*context)};
    ASSERT_EQ(shake_hands(ours, client), Progress::done);
    ASSERT_TRUE(client.is_done());
    EXPECT_EQ(ours.session->version(), version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
    EXPECT_EQ(ours.session->server_name(), "api.example");
    EXPECT_EQ(ours.session->protocol(), "http/1.1");
    EXPECT_FALSE(ours.session->was_resumed());
    EXPECT_EQ(ours.session->peer_certificate(), nullptr);
    client.say("question");
    ours.came += client.take();
    EXPECT_EQ(ours.read(), Progress::needs_bytes);
    EXPECT_EQ(ours.heard, "question");
    const std::string answer(200'000, 'a');
    ours.write(answer);
    client.give(ours.take());
    EXPECT_EQ(client.hear() + client.hear() + client.hear(), answer);
  }
}

// The client's bytes in two pieces, cut at every place; then byte by byte.
TEST(TlsSession, pieces_of_any_size_are_the_same_handshake) {
  const auto context = server_context(plain_options());
  for (const int version : versions) {
    for (size_t cut = 1; cut < 600; cut += cut < 16 ? 1 : 7) {
      Client client;
      client.only(version).ask_for("api.example");
      End ours{Session::accept(*context)};
      client.handshake();
      const std::string hello = client.take();
      ours.came = hello.substr(0, cut);
      const bool is_whole = cut >= hello.size();
      ASSERT_EQ(ours.handshake(), Progress::needs_bytes);
      EXPECT_EQ(ours.leaves.empty(), !is_whole) << "nothing is said before the hello is whole";
      if (!is_whole) ours.came += hello.substr(cut);
      ASSERT_EQ(ours.handshake(), Progress::needs_bytes);
      client.give(ours.take());
      ASSERT_EQ(shake_hands(ours, client), Progress::done) << cut;
    }
    Client client;
    client.only(version);
    End ours{Session::accept(*context), 100};
    Progress progress = Progress::needs_bytes;
    for (int round = 0; round < 4; ++round) {
      client.handshake();
      for (const char byte : client.take()) {
        ours.came += byte;
        progress = ours.handshake();
        ASSERT_NE(progress, Progress::failed);
      }
      for (const char byte : ours.take()) {
        client.give({&byte, 1});
        client.handshake();
      }
    }
    ASSERT_EQ(progress, Progress::done);
    client.say("byte by byte");
    for (const char byte : client.take()) {
      ours.came += byte;
      ASSERT_EQ(ours.read(), Progress::needs_bytes);
    }
    EXPECT_EQ(ours.heard, "byte by byte");
  }
}

std::vector<size_t> record_sizes(std::string_view wire) {
  std::vector<size_t> sizes;
  while (wire.size() >= 5) {
    const size_t size =
        size_t{static_cast<unsigned char>(wire[3])} << 8 | static_cast<unsigned char>(wire[4]);
    sizes.push_back(size);
    wire.remove_prefix(std::min(wire.size(), size + 5));
  }
  return sizes;
}

TEST(TlsSession, records_are_small_at_first_and_whole_within_the_room) {
  const auto context = server_context(plain_options());
  Client client;
  End ours{Session::accept(*context)};
  ASSERT_EQ(shake_hands(ours, client), Progress::done);
  ours.write(std::string(100'000, 'x'));
  std::vector<size_t> sizes = record_sizes(ours.leaves);
  for (size_t i = 0; i < 10; ++i) EXPECT_LE(sizes.at(i), small_record_bytes + record_overhead);
  EXPECT_GT(sizes.at(11), record_bytes);
  client.give(ours.take());
  EXPECT_EQ(client.hear().size(), 100'000U);
  ours.write(std::string(20'000, 'y'));
  EXPECT_EQ(record_sizes(ours.leaves).size(), 2U) << "not small again without a pause";
  ours.session->begin_flight();
  client.give(ours.take());
  ours.write(std::string(5'000, 'z'));
  EXPECT_EQ(record_sizes(ours.leaves).size(), 4U);
  client.give(ours.take());
  ours.room = 3'000;
  ours.write(std::string(50'000, 'w'));
  for (const size_t size : record_sizes(ours.leaves)) EXPECT_LE(size + 5, 3'000U);
  client.give(ours.take());
  EXPECT_EQ(client.hear().size(), 20'000U + 5'000 + 50'000);
  ours.room = record_overhead;
  const Step step = ours.with_wire([&](Wire& wire) {
    return ours.session->write(wire, std::as_bytes(std::span{"no room", 7}));
  });
  EXPECT_EQ(step.progress, Progress::needs_room);
  EXPECT_EQ(step.bytes, 0U);
  EXPECT_TRUE(ours.leaves.empty());
}

TEST(TlsSession, an_end_that_is_said_is_told_from_one_that_is_not) {
  const auto context = server_context(plain_options());
  for (const int version : versions) {
    Client polite, rude;
    polite.only(version);
    rude.only(version);
    End first{Session::accept(*context)}, second{Session::accept(*context)};
    ASSERT_EQ(shake_hands(first, polite), Progress::done);
    ASSERT_EQ(shake_hands(second, rude), Progress::done);
    polite.say("last words");
    SSL_shutdown(polite.ssl());
    first.came += polite.take();
    EXPECT_EQ(first.read(), Progress::closed);
    EXPECT_EQ(first.heard, "last words");
    EXPECT_TRUE(first.session->end_of_input());
    first.write("they may still be answered");
    first.close();
    first.close();
    polite.give(first.take());
    EXPECT_EQ(polite.hear(), "they may still be answered");
    EXPECT_EQ(SSL_get_shutdown(polite.ssl()), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    rude.say("half a sen");
    std::string wire = rude.take();
    second.came += wire.substr(0, wire.size() - 1);
    EXPECT_EQ(second.read(), Progress::needs_bytes);
    EXPECT_FALSE(second.session->end_of_input());
    EXPECT_EQ(second.session->failure(), Failure::truncated);
    EXPECT_EQ(second.heard, "");
  }
}

TEST(TlsSession, certificates_are_chosen_by_name_and_kind_of_key) {
  const auto context = server_context(
      {.certificates = {loaded(server_rsa()), loaded(server_ecdsa()), loaded(server_other())}});
  struct Row {
    const char* name;
    const char* signatures;
    const Issued& expected;
  };
  const Row table[] = {
      {"api.example", "RSA-PSS+SHA256:ECDSA+SHA256", server_ecdsa()},
      {"API.Example", "RSA-PSS+SHA256:RSA+SHA256", server_rsa()},
      {"a.wild.example", "ECDSA+SHA256", server_ecdsa()},
      {"other.example", "ECDSA+SHA256", server_other()},
      {"unknown.example", "ECDSA+SHA256", server_ecdsa()},
      {"a.b.wild.example", "ECDSA+SHA256", server_ecdsa()},
      {nullptr, "ECDSA+SHA256", server_ecdsa()},
  };
  for (const int version : versions) {
    for (const Row& row : table) {
      Client client;
      client.only(version);
      SSL_CTX_set1_sigalgs_list(client.context(), row.signatures);
      if (row.name != nullptr) client.ask_for(row.name);
      End ours{Session::accept(*context)};
      ASSERT_EQ(shake_hands(ours, client), Progress::done) << row.name;
      const X509Ptr shown{SSL_get1_peer_certificate(client.ssl())};
      EXPECT_EQ(X509_cmp(shown.get(), row.expected.certificate.get()), 0) << row.name;
      const std::string_view name = row.name == nullptr ? "" : row.name;
      EXPECT_EQ(ours.session->group(), context->group_of(name)) << name;
      EXPECT_EQ(context->group_of(name) != 0, name == "other.example");
    }
  }
}

TEST(TlsSession, strict_names_get_an_alert) {
  ServerOptions options = plain_options();
  options.unknown_name = UnknownName::alert;
  const auto context = server_context(options);
  for (const char* name : {"unknown.example", "", "x.api.example"}) {
    Client client;
    if (*name != '\0') client.ask_for(name);
    End ours{Session::accept(*context)};
    EXPECT_EQ(shake_hands(ours, client), Progress::failed);
    EXPECT_EQ(ours.session->failure(), Failure::unknown_name) << name;
    EXPECT_EQ(ours.session->alert(), SSL_AD_UNRECOGNIZED_NAME);
  }
  Client client;
  client.ask_for("api.example.");
  End ours{Session::accept(*context)};
  EXPECT_EQ(shake_hands(ours, client), Progress::done);
}

TEST(TlsSession, without_anything_in_common_the_reason_has_a_name) {
  ServerOptions modern = plain_options();
  modern.policy = Policy::modern;
  const auto of_modern = server_context(modern);
  const auto intermediate = server_context(plain_options());
  const auto outcome = [](ServerContext& context, auto&& prepare) {
    Client client;
    prepare(client);
    End ours{Session::accept(context)};
    EXPECT_EQ(shake_hands(ours, client), Progress::failed);
    EXPECT_FALSE(client.is_done());
    return ours.session->failure();
  };
  EXPECT_EQ(outcome(*of_modern, [](Client& c) { c.only(TLS1_2_VERSION); }), Failure::version);
  EXPECT_EQ(outcome(*intermediate, [](Client& c) { c.only(TLS1_1_VERSION); }), Failure::version);
  EXPECT_EQ(outcome(*intermediate, [](Client& c) { c.offer("\x08http/1.0"); }), Failure::protocol);
  EXPECT_EQ(outcome(*intermediate,
                    [](Client& c) {
                      c.only(TLS1_2_VERSION);
                      SSL_set_cipher_list(c.ssl(), "AES128-SHA");
                    }),
            Failure::cipher);
  EXPECT_EQ(outcome(*intermediate, [](Client& c) { SSL_set1_groups_list(c.ssl(), "P-521"); }),
            Failure::cipher);
  EXPECT_EQ(outcome(*intermediate, [](Client& c) { SSL_set1_sigalgs_list(c.ssl(), "RSA+SHA256"); }),
            Failure::cipher);
}

TEST(TlsSession, bytes_that_are_no_tls_are_malformed) {
  const auto context = server_context(plain_options());
  const std::string_view table[] = {"GET / HTTP/1.1\r\n\r\n",
                                    std::string_view{"\x16\x03\x01\0\x05\x09\0\0\0\0", 10},
                                    "\xff\xff\xff\xff\xff\xff\xff"};
  for (const std::string_view bytes : table) {
    End ours{Session::accept(*context)};
    ours.came = bytes;
    EXPECT_EQ(ours.handshake(), Progress::failed);
    EXPECT_TRUE(ours.session->failure() == Failure::malformed ||
                ours.session->failure() == Failure::version)
        << to_string(ours.session->failure());
  }
}

TEST(TlsSession, an_alert_of_the_client_is_told) {
  const auto context = server_context(plain_options());
  Client client;
  SSL_CTX_set_verify(client.context(), SSL_VERIFY_PEER, nullptr);  // it trusts nobody
  End ours{Session::accept(*context)};
  EXPECT_EQ(shake_hands(ours, client), Progress::failed);
  EXPECT_EQ(ours.session->failure(), Failure::refused_by_peer);
  EXPECT_EQ(alert_name(ours.session->alert()), "unknown_ca");
}

// --- resumption ------------------------------------------------------------------------------

struct Tickets {
  SessionTicket ticket;
  static int keep(SSL* ssl, SSL_SESSION* ticket) {
    static_cast<Tickets*>(SSL_get_app_data(ssl))->ticket.reset(ticket);
    return 1;
  }
};

// A connection that offers `tickets.ticket`, if there is one, and keeps the next. Whether it was
// resumed.
bool connect_again(ServerContext& context, Tickets& tickets, int version, const char* name) {
  Client client;
  client.only(version);
  SSL_CTX_set_session_cache_mode(client.context(),
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(client.context(), Tickets::keep);
  client.ask_for(name);
  SSL_set_app_data(client.ssl(), &tickets);
  if (tickets.ticket != nullptr) SSL_set_session(client.ssl(), tickets.ticket.get());
  End ours{Session::accept(context)};
  EXPECT_EQ(shake_hands(ours, client), Progress::done);
  ours.write("an answer");
  client.give(ours.take());
  EXPECT_EQ(client.hear(), "an answer");
  // A renewed ticket of TLS 1.2 is not reported.
  if (version == TLS1_2_VERSION) tickets.ticket.reset(SSL_get1_session(client.ssl()));
  SSL_shutdown(client.ssl());
  EXPECT_EQ(SSL_session_reused(client.ssl()) == 1, ours.session->was_resumed());
  return ours.session->was_resumed();
}

TEST(TlsTickets, another_core_opens_them_until_they_are_old) {
  using namespace std::chrono_literals;
  for (const int version : versions) {
    const TicketSeed seed = tests::seed_of_tests();
    Library one{seed}, two{seed}, stranger{TicketKeys::seed({9}, tests::wall_now())};
    const auto now = tests::wall_now();
    for (Library* each : {&one, &two, &stranger}) each->set_time(now);
    const auto first = server_context(plain_options(), one);
    const auto second = server_context(plain_options(), two);
    const auto foreign = server_context(plain_options(), stranger);
    Tickets tickets;
    EXPECT_FALSE(connect_again(*first, tickets, version, "api.example"));
    ASSERT_NE(tickets.ticket, nullptr);
    EXPECT_TRUE(connect_again(*second, tickets, version, "api.example"));
    Tickets old{SessionTicket{SSL_SESSION_dup(tickets.ticket.get())}};
    two.set_time(now + TicketKeys::lifetime - 1s);
    EXPECT_TRUE(connect_again(*second, tickets, version, "api.example"));
    // Sealed by the core that is ahead: one that is behind opens it all the same.
    one.set_time(now + TicketKeys::period);
    EXPECT_TRUE(connect_again(*first, tickets, version, "api.example"));
    EXPECT_FALSE(connect_again(*foreign, old, version, "api.example"));
    Tickets older{SessionTicket{SSL_SESSION_dup(tickets.ticket.get())}};
    two.set_time(now + TicketKeys::lifetime + 3 * TicketKeys::period);
    EXPECT_FALSE(connect_again(*second, older, version, "api.example"));
  }
}

TEST(TlsTickets, are_void_once_other_clients_are_let_in) {
  ServerOptions options = plain_options();
  options.client = ClientCertificate::optional;
  options.client_ca = pem_of(authority().certificate.get());
  const auto before = server_context(options);
  options.client_ca += pem_of(issue({.names = "", .is_authority = true}).certificate.get());
  const auto after = server_context(options);
  for (const int version : versions) {
    Tickets tickets;
    EXPECT_FALSE(connect_again(*before, tickets, version, "api.example"));
    EXPECT_TRUE(connect_again(*before, tickets, version, "api.example"));
    EXPECT_FALSE(connect_again(*after, tickets, version, "api.example"));
  }
}

TEST(TlsTickets, keys_come_from_the_same_chain_wherever_it_is_taken_up) {
  using namespace std::chrono_literals;
  const auto now = core::WallTime{std::chrono::hours{24 * 365 * 56}};
  TicketKeys one{TicketKeys::seed({7}, now)};
  one.advance(now + 3 * TicketKeys::period);
  TicketKeys taken_over{one.place()};
  one.advance(now + 4 * TicketKeys::period);
  taken_over.advance(now + 4 * TicketKeys::period);
  EXPECT_EQ(one.sealing().name, taken_over.sealing().name);
  EXPECT_EQ(one.sealing().cipher, taken_over.sealing().cipher);
  EXPECT_NE(one.sealing().cipher, one.sealing().mac);
  const auto name = one.sealing().name;
  one.advance(now);
  EXPECT_EQ(one.sealing().name, name) << "time that goes back changes nothing";
  one.advance(now + 6 * TicketKeys::period);
  EXPECT_NE(one.find(name), nullptr);
  one.advance(now + 7 * TicketKeys::period);
  EXPECT_EQ(one.find(name), nullptr) << "it is forgotten";
  const std::array<uint8_t, 16> zeros{};
  EXPECT_EQ(one.find(zeros), nullptr);
}

// --- certificates of clients -----------------------------------------------------------------

ServerOptions asking_clients(ClientCertificate client) {
  ServerOptions options = plain_options();
  options.client = client;
  options.client_ca = pem_of(authority().certificate.get());
  return options;
}

std::string revocation_list_of(const Issued& issued) {
  std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>> list{X509_CRL_new()};
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(authority().certificate.get()));
  ASN1_TIME* time = ASN1_TIME_new();
  X509_gmtime_adj(time, -100);
  X509_CRL_set1_lastUpdate(list.get(), time);
  X509_REVOKED* revoked = X509_REVOKED_new();
  ASN1_INTEGER* serial = ASN1_INTEGER_dup(X509_get0_serialNumber(issued.certificate.get()));
  X509_REVOKED_set_serialNumber(revoked, serial);
  X509_REVOKED_set_revocationDate(revoked, time);
  X509_CRL_add0_revoked(list.get(), revoked);
  X509_gmtime_adj(time, 10'000);
  X509_CRL_set1_nextUpdate(list.get(), time);
  X509_CRL_sign(list.get(), authority().key.get(), EVP_sha256());
  ASN1_TIME_free(time);
  ASN1_INTEGER_free(serial);
  const BioPtr bio{BIO_new(BIO_s_mem())};
  PEM_write_bio_X509_CRL(bio.get(), list.get());
  return tests::taken(bio.get());
}

// How a handshake ends for a client that shows this, or nothing.
Failure outcome_with(ServerContext& context, const Issued* shown, int version) {
  Client client;
  client.only(version);
  if (shown != nullptr) client.show(*shown);
  End ours{Session::accept(context)};
  shake_hands(ours, client);
  if (ours.session->state() == State::established) {
    EXPECT_EQ(ours.session->peer_certificate() != nullptr, shown != nullptr);
  }
  return ours.session->failure();
}

TEST(TlsClientCertificates, are_judged_and_told_apart) {
  const auto required = server_context(asking_clients(ClientCertificate::required));
  const auto optional = server_context(asking_clients(ClientCertificate::optional));
  ServerOptions with_list = asking_clients(ClientCertificate::required);
  with_list.client_revoked = revocation_list_of(customer());
  const auto revoking = server_context(with_list);
  const Issued stranger = issue({.subject = "stranger"});
  const Issued expired = issue({.from_days = -10, .until_days = -1}, &authority());
  const Issued server_only = issue({.purpose = "serverAuth"}, &authority());
  const Issued other_customer = issue({.subject = "another"}, &authority());
  for (const int version : versions) {
    EXPECT_EQ(outcome_with(*required, nullptr, version), Failure::certificate_missing);
    EXPECT_EQ(outcome_with(*optional, nullptr, version), Failure::none);
    EXPECT_EQ(outcome_with(*required, &customer(), version), Failure::none);
    EXPECT_EQ(outcome_with(*optional, &customer(), version), Failure::none);
    EXPECT_EQ(outcome_with(*required, &stranger, version), Failure::certificate_unknown);
    EXPECT_EQ(outcome_with(*optional, &stranger, version), Failure::certificate_unknown);
    EXPECT_EQ(outcome_with(*required, &expired, version), Failure::certificate_expired);
    EXPECT_EQ(outcome_with(*required, &server_only, version), Failure::certificate_bad);
    EXPECT_EQ(outcome_with(*revoking, &customer(), version), Failure::certificate_revoked);
    EXPECT_EQ(outcome_with(*revoking, &other_customer, version), Failure::none);
  }
}

TEST(TlsClientCertificates, say_who_it_is) {
  PeerFacts facts;
  ASSERT_TRUE(read_peer_facts(customer().certificate.get(), facts));
  EXPECT_EQ(facts.subject, "CN=customer");
  EXPECT_EQ(facts.names, "URI:spiffe://example/customer,EMAIL:a@example");
  EXPECT_EQ(facts.fingerprint.size(), 64U);
  EXPECT_TRUE(facts.serial.starts_with("10"));
  EXPECT_TRUE(facts.field.starts_with(":MII") && facts.field.ends_with(":"));
  const Issued comma = issue({.subject = "a,CN=b", .names = "DNS:ok.example,URI:x:a,DNS:forged"});
  ASSERT_TRUE(read_peer_facts(comma.certificate.get(), facts));
  EXPECT_EQ(facts.subject, "CN=a\\,CN=b");
  const Issued breaking = issue({.subject = "a\r\nX-Admin: yes", .names = ""});
  ASSERT_TRUE(read_peer_facts(breaking.certificate.get(), facts));
  EXPECT_EQ(facts.subject.find('\n'), std::string::npos) << facts.subject;
}

// --- towards endpoints -----------------------------------------------------------------------

struct Upstream {
  ClientOptions options{.ca = pem_of(authority().certificate.get())};
  PeerName name{"api.example"};
  const Issued* shown = &server_ecdsa();
  int version = TLS1_3_VERSION;
  SessionTicket ticket;

  Failure call(ClientContext& context, std::string_view* protocol = nullptr) {
    Server server;
    server.only(version).show(*shown);
    SSL_CTX_set_alpn_select_cb(
        server.context(),
        [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
           void*) {
          *out = in + 1;
          *size = *in;
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    SSL_CTX_set_session_id_context(server.context(), reinterpret_cast<const unsigned char*>("x"),
                                   1);
    unsigned char keys[80] = {1};
    SSL_CTX_set_tlsext_ticket_keys(server.context(), keys, sizeof keys);
    End ours{Session::connect(context, name, ticket.get())};
    for (int round = 0; round < 5 && ours.handshake() == Progress::needs_bytes; ++round) {
      server.give(ours.take());
      server.handshake();
      ours.came += server.take();
    }
    server.give(ours.take());
    server.handshake();
    if (ours.session->state() == State::established) {
      server.say("hello");
      ours.came += server.take();
      EXPECT_EQ(ours.read(), Progress::needs_bytes);
      EXPECT_EQ(ours.heard, "hello");
      resumed = ours.session->was_resumed();
      ticket = ours.session->take_ticket();
      if (protocol != nullptr) {
        EXPECT_EQ(ours.session->protocol(), *protocol);
      }
    }
    return ours.session->failure();
  }
  Failure call() {
    const auto context = tests::client_context(options);
    return call(*context);
  }
  bool resumed = false;
};

TEST(TlsUpstream, believes_nobody_but_whom_it_shall) {
  const Issued by_address = issue({.names = "IP:127.0.0.1"}, &authority());
  const Issued expired = issue({.from_days = -10, .until_days = -1}, &authority());
  const Issued self_signed = issue({});
  for (const int version : versions) {
    EXPECT_EQ((Upstream{.version = version}.call()), Failure::none);
    EXPECT_EQ((Upstream{.name = {"a.wild.example"}, .version = version}.call()), Failure::none);
    EXPECT_EQ((Upstream{.name = {"other.example"}, .version = version}.call()),
              Failure::certificate_name);
    EXPECT_EQ((Upstream{.name = {"127.0.0.1", true}, .shown = &by_address}.call()), Failure::none);
    EXPECT_EQ((Upstream{.name = {"127.0.0.2", true}, .shown = &by_address}.call()),
              Failure::certificate_name);
    EXPECT_EQ((Upstream{.shown = &expired, .version = version}.call()),
              Failure::certificate_expired);
    EXPECT_EQ((Upstream{.shown = &self_signed, .version = version}.call()),
              Failure::certificate_unknown);
    EXPECT_EQ(
        (Upstream{.options = {.verification = Verification::none}, .shown = &self_signed}.call()),
        Failure::none);
  }
}

TEST(TlsUpstream, resumes_what_it_kept) {
  for (const int version : versions) {
    Upstream upstream{.version = version};
    const auto context = tests::client_context(upstream.options);
    std::string_view protocol = "http/1.1";
    EXPECT_EQ(upstream.call(*context, &protocol), Failure::none);
    EXPECT_FALSE(upstream.resumed);
    ASSERT_NE(upstream.ticket, nullptr);
    EXPECT_EQ(upstream.call(*context, &protocol), Failure::none);
    EXPECT_TRUE(upstream.resumed);
  }
}

// --- floods ----------------------------------------------------------------------------------

TEST(TlsFloods, key_updates_without_data_end_the_session) {
  const auto context = server_context(plain_options());
  Client client;
  client.only(TLS1_3_VERSION);
  End ours{Session::accept(*context)};
  ASSERT_EQ(shake_hands(ours, client), Progress::done);
  for (int i = 0; i < 20; ++i) {
    SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    client.say("data");
  }
  ours.came += client.take();
  EXPECT_EQ(ours.read(), Progress::needs_bytes) << "a few are nothing";
  client.give(ours.take());
  EXPECT_EQ(client.hear(), "");
  for (int i = 0; i < 2000; ++i) {
    SSL_key_update(client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(client.ssl());
  }
  ours.came += client.take();
  const size_t before = ours.came.size();
  EXPECT_EQ(ours.read(), Progress::failed);
  EXPECT_EQ(ours.session->failure(), Failure::too_long);
  EXPECT_GT(ours.came.size(), before / 2) << "it was not all worked through first";
}

TEST(TlsFloods, renegotiation_is_refused) {
  const auto context = server_context(plain_options());
  Client client;
  client.only(TLS1_2_VERSION);
  End ours{Session::accept(*context)};
  ASSERT_EQ(shake_hands(ours, client), Progress::done);
  SSL_renegotiate(client.ssl());
  client.handshake();
  ours.came += client.take();
  ASSERT_NE(ours.read(), Progress::closed);
  EXPECT_EQ(ours.session->alerts_sent(), 1U);
  EXPECT_EQ(alert_name(ours.session->alert()), "no_renegotiation");
}

TEST(TlsFloods, a_handshake_has_an_end) {
  const auto context = server_context(asking_clients(ClientCertificate::optional));
  Client client;
  client.only(TLS1_3_VERSION);
  client.show(customer());
  for (int i = 0; i < 200; ++i)
    SSL_CTX_add1_chain_cert(client.context(), authority().certificate.get());
  End ours{Session::accept(*context)};
  EXPECT_EQ(shake_hands(ours, client), Progress::failed);
  EXPECT_EQ(ours.session->failure(), Failure::too_long);
}

// --- hello -----------------------------------------------------------------------------------

HelloState examine(std::string_view bytes) {
  return examine_hello(std::as_bytes(std::span{bytes}));
}

TEST(TlsHello, is_whole_with_its_last_byte_however_it_is_cut_into_records) {
  Client client;
  client.ask_for("api.example");
  client.handshake();
  const std::string hello = client.take();
  for (size_t size = 0; size < hello.size(); ++size)
    ASSERT_EQ(examine({hello.data(), size}), HelloState::incomplete) << size;
  EXPECT_EQ(examine(hello), HelloState::whole);
  EXPECT_EQ(examine(hello + "more"), HelloState::whole);
  const std::string message = hello.substr(5);
  for (const size_t part : {1, 3, 7, 100}) {
    std::string cut;
    for (size_t at = 0; at < message.size(); at += part) {
      const std::string piece = message.substr(at, part);
      cut += std::string{"\x16\x03\x01\0", 4} + static_cast<char>(piece.size()) + piece;
    }
    if (message.size() / part >= 64) {
      EXPECT_EQ(examine(cut), HelloState::too_long) << part;
      continue;
    }
    EXPECT_EQ(examine(cut), HelloState::whole) << part;
    for (size_t size = 0; size < cut.size(); ++size)
      ASSERT_EQ(examine({cut.data(), size}), HelloState::incomplete) << part << " " << size;
  }
}

TEST(TlsHello, is_told_from_other_beginnings) {
  using S = HelloState;
  const std::pair<std::string_view, S> table[] = {
      {"", S::incomplete},
      {"G", S::incomplete},
      {"PROPFIND", S::incomplete},
      {"GET ", S::plain_http},
      {"GET / HTTP/1.1\r\n", S::plain_http},
      {"PROPFIND /", S::plain_http},
      {"get /", S::foreign},
      {" GET", S::foreign},
      {"ABCDEFGHIJK", S::foreign},
      {"\x80\x2e\x01", S::foreign},
      {"\x15\x03\x01", S::foreign},
      {"\x16\x02", S::foreign},
      {std::string_view{"\x16\x03\x01\0\0", 5}, S::foreign},
      {std::string_view{"\x16\x03\x01\x40\x01", 5}, S::foreign},
      {std::string_view{"\x16\x03\x01\0\x04\x02", 6}, S::foreign},
      {std::string_view{"\x16\x03\x01\0\x04\x01\0\x3f\xf8", 9}, S::too_long},
      {std::string_view{"\x16\x03\x01\0\x04\x01\0\x02\0", 9}, S::incomplete},
      {"\r\n", S::foreign},
  };
  for (const auto& [bytes, expected] : table)
    EXPECT_EQ(examine(bytes), expected) << testing::PrintToString(bytes);
  const auto is_tls = [](std::string_view bytes) {
    return looks_like_tls(std::as_bytes(std::span{bytes}));
  };
  EXPECT_TRUE(is_tls("\x16\x03\x01"));
  EXPECT_FALSE(is_tls("\x16\x03"));
  EXPECT_FALSE(is_tls("GET / HTTP/1.1"));
}

TEST(TlsNames, exact_ones_come_before_wildcards_of_one_label) {
  NameTable table;
  table.add("api.example", 1);
  table.add("*.example", 2);
  table.add("*.deep.example", 3);
  table.add("api.example", 9);
  const std::pair<const char*, std::optional<uint32_t>> rows[] = {
      {"api.example", 1},         {"API.EXAMPLE.", 1},         {"www.example", 2},
      {"a.deep.example", 3},      {"deep.example", 2},         {"a.b.deep.example", std::nullopt},
      {"example", std::nullopt},  {"", std::nullopt},          {".", std::nullopt},
      {".example", std::nullopt}, {"*.example", std::nullopt}, {"..", std::nullopt}};
  for (const auto& [name, expected] : rows) EXPECT_EQ(table.find(name), expected) << name;
  EXPECT_EQ(table.find(std::string(254, 'a')), std::nullopt);
  EXPECT_EQ(table.find(std::string(245, 'a') + ".example"), 2U);
}

}  // namespace
}  // namespace sluice::tls
