// OpenSSL for one core: a library context of its own, so that cores share none of OpenSSL's locks
// and caches, and what all its contexts use. Made before the core's thread begins; what is added
// later (a reload) is made by the control thread. Outlives every context and session.
#pragma once

#include <array>
#include <map>
#include <string>

#include "core/clock.h"
#include "tls/openssl.h"
#include "tls/ticket_keys.h"

namespace sluice::tls {

class Library {
 public:
  // Throws std::runtime_error if OpenSSL can't give one.
  explicit Library(const TicketSeed& seed);
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  [[nodiscard]] OSSL_LIB_CTX* get() const { return library_.get(); }
  [[nodiscard]] TicketKeys& tickets() { return tickets_; }
  [[nodiscard]] const EVP_CIPHER* ticket_cipher() const { return ticket_cipher_.get(); }

  // What time it is, told by the worker before it runs a session: at most once a turn.
  void set_time(core::WallTime now) {
    now_ = now;
    if (now >= tickets_due_) advance_tickets();
  }
  [[nodiscard]] core::WallTime now() const { return now_; }

  // The certificates of a PEM text as trust anchors; of the same text the same store. nullptr: it
  // holds none, or a broken one.
  [[nodiscard]] X509_STORE* trust(const std::string& pem, const std::string& revoked_pem);

 private:
  void advance_tickets();

  LibraryPtr library_;
  CipherPtr ticket_cipher_;
  TicketKeys tickets_;
  core::WallTime now_{};
  core::WallTime tickets_due_{};
  std::map<std::pair<std::string, std::string>, StorePtr> stores_;
};

}  // namespace sluice::tls
