// Runs OpenSSL over the bytes of a call.
#include "tls/session.h"

#include <openssl/err.h>

#include <algorithm>

namespace sluice::tls {

Session::Session(Library& library, SSL_CTX* context) : library_(library), ssl_(SSL_new(context)) {
  BioPtr bio = make_wire_bio();
  if (ssl_ == nullptr || bio == nullptr) {
    ssl_.reset();
    ERR_clear_error();
    return;
  }
  bio_ = bio.get();
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_bio(ssl_.get(), bio.get(), bio.get());
  static_cast<void>(bio.release());
}

Session::~Session() {
  // OpenSSL makes the tickets of a session void that ends unsaid, which says nothing of the ticket.
  if (is_made() && state_ != State::failed)
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

std::unique_ptr<Session> Session::accept(ServerContext& context) {
  std::unique_ptr<Session> made{new Session{context.library(), context.get()}};
  if (!made->is_made()) return nullptr;
  SSL_set_accept_state(made->ssl_.get());
  return made;
}

std::unique_ptr<Session> Session::connect(ClientContext& context, const PeerName& peer,
                                          SSL_SESSION* ticket) {
  std::unique_ptr<Session> made{new Session{context.library(), context.get()}};
  if (!made->is_made()) return nullptr;
  SSL* ssl = made->ssl_.get();
  SSL_set_connect_state(ssl);
  if (!peer.name.empty()) {
    X509_VERIFY_PARAM* checks = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool is_named =
        peer.is_address
            ? X509_VERIFY_PARAM_set1_ip_asc(checks, peer.name.data()) == 1
            : X509_VERIFY_PARAM_set1_host(checks, peer.name.data(), peer.name.size()) == 1 &&
                  SSL_set_tlsext_host_name(ssl, peer.name.data()) == 1;
    if (!is_named) return nullptr;
  }
  if (ticket != nullptr) SSL_set_session(ssl, ticket);
  return made;
}

// --- calls -----------------------------------------------------------------------------------

void Session::begin_call(Wire& wire) {
  // Others on this thread leave what they failed over, and OpenSSL would take it for its own.
  if (ERR_peek_error() != 0) ERR_clear_error();
  offered_ = wire.in;
  attach(bio_, &wire);
}

void Session::end_call(const Wire& wire) {
  meter_.note(offered_.first(offered_.size() - wire.in.size()));
  attach(bio_, nullptr);
}

Progress Session::fail(Failure failure) {
  state_ = State::failed;
  failure_ = failure;
  return Progress::failed;
}

// What an unsuccessful call of OpenSSL means.
Progress Session::outcome_of(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return Progress::needs_bytes;
    case SSL_ERROR_WANT_WRITE: return Progress::needs_room;
    case SSL_ERROR_ZERO_RETURN: state_ = State::closed; return Progress::closed;
    default: return fail(take_failure(ssl_.get(), alert_));
  }
}

Step Session::handshake(Wire& wire) {
  if (state_ == State::failed) return {Progress::failed};
  if (state_ != State::handshaking) return {};
  const size_t before = wire.in.size();
  begin_call(wire);
  const int outcome = SSL_do_handshake(ssl_.get());
  const Progress progress = outcome == 1 ? Progress::done : outcome_of(outcome);
  end_call(wire);
  handshake_bytes_ += before - wire.in.size();
  if (progress == Progress::done) {
    state_ = State::established;
    messages_ = 0;
    // A renewed ticket of TLS 1.2 is not reported, and the old one is void.
    if (SSL_is_server(ssl_.get()) == 0 && was_resumed() && SSL_version(ssl_.get()) < TLS1_3_VERSION)
      ticket_.reset(SSL_get1_session(ssl_.get()));
  } else if (progress == Progress::needs_bytes && handshake_bytes_ > handshake_bytes_max) {
    return {fail(Failure::too_long)};
  } else if (progress == Progress::closed) {
    return {fail(Failure::refused_by_peer)};  // a close_notify before there was anything
  }
  return {progress};
}

Step Session::read(Wire& wire, std::span<std::byte> into) {
  Step step;
  if (state_ == State::failed) return {Progress::failed};
  if (state_ == State::closed) return {Progress::closed};
  begin_call(wire);
  while (step.bytes < into.size()) {
    size_t got = 0;
    const int outcome =
        SSL_read_ex(ssl_.get(), into.data() + step.bytes, into.size() - step.bytes, &got);
    if (outcome != 1) {
      step.progress = outcome_of(outcome);
      if (step.progress == Progress::needs_bytes &&
          (messages_ > messages_between_data_max || alerts_sent_ + alerts_received_ > alerts_max))
        step.progress = fail(Failure::too_long);
      break;
    }
    step.bytes += got;
    messages_ = 0;
  }
  end_call(wire);
  return step;
}

size_t Session::next_record_bytes(size_t plaintext, size_t room) const {
  if (room <= record_overhead) return 0;
  const size_t most = small_left_ > 0 ? small_record_bytes : record_bytes;
  return std::min({plaintext, most, room - record_overhead});
}

Step Session::write(Wire& wire, std::span<const std::byte> plaintext) {
  Step step;
  if (state_ == State::failed) return {Progress::failed};
  begin_call(wire);
  while (!plaintext.empty()) {
    const size_t size = next_record_bytes(plaintext.size(), wire.out.size());
    // A sliver of a record for the last bytes of room is not worth its header.
    if (size == 0 || (size < plaintext.size() && size < small_record_bytes)) {
      step.progress = Progress::needs_room;
      break;
    }
    size_t sealed = 0;
    const int outcome = SSL_write_ex(ssl_.get(), plaintext.data(), size, &sealed);
    if (outcome != 1) {
      step.progress = outcome_of(outcome);
      break;
    }
    plaintext = plaintext.subspan(sealed);
    step.bytes += sealed;
    small_left_ -= std::min(small_left_, sealed);
  }
  end_call(wire);
  return step;
}

void Session::close(Wire& wire) {
  if (state_ != State::established && state_ != State::closed) return;
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  begin_call(wire);
  static_cast<void>(SSL_shutdown(ssl_.get()));
  ERR_clear_error();
  end_call(wire);
}

bool Session::end_of_input() {
  if (state_ == State::closed) return true;
  if (state_ != State::failed) fail(Failure::truncated);
  return false;
}

// --- facts -----------------------------------------------------------------------------------

std::string_view Session::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view Session::server_name() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? std::string_view{} : std::string_view{name};
}

const X509* Session::peer_certificate() const {
  const bool is_verified = (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0 &&
                           SSL_get_verify_result(ssl_.get()) == X509_V_OK;
  return is_verified ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
}

// --- what OpenSSL reports --------------------------------------------------------------------

void Session::on_info(const SSL* ssl, int where, int value) {
  Session& session = of(ssl);
  if ((where & SSL_CB_ALERT) != 0) {
    const bool is_sent = (where & SSL_CB_WRITE) != 0;
    const int number = value & 0xff;
    if (number != SSL_AD_CLOSE_NOTIFY) {
      ++(is_sent ? session.alerts_sent_ : session.alerts_received_);
      session.alert_ = static_cast<uint8_t>(number);
    }
  } else if ((where & SSL_CB_LOOP) != 0 && session.state_ == State::established) {
    // No bytes, no more of them: read() finds out and ends it.
    if (++session.messages_ > messages_between_data_max) attach(session.bio_, nullptr);
  }
}

int Session::on_new_ticket(SSL* ssl, SSL_SESSION* ticket) {
  of(ssl).ticket_.reset(ticket);  // takes over the reference
  return 1;
}

}  // namespace sluice::tls
