#include "proxy/reason_words.h"

#include <algorithm>
#include <iterator>

namespace sluice::proxy {

namespace {

// By code.
constexpr ReasonWords table[] = {
    {"auth.forbidden", "403", "The token is good, and the route asks for more.",
     "The client must get a token with what the route requires; the operator may change require."},
    {"deadline", "504", "The request was not finished within its deadline.",
     "The endpoint must answer faster; the operator may raise timeouts.deadline."},
    {"downstream.closed", "-", "The client ended the connection before its answer was complete.",
     "Nobody need do anything; many of them mean that clients do not wait long enough."},
    {"downstream.write_timeout", "-", "The client did not read its answer for too long.",
     "The client must read; the operator may raise timeouts.write."},
    {"drain", "503", "Sluice stops, and the time to finish was over.",
     "The client may try again; the operator may raise drain.deadline."},
    {"http.bare_cr", "400", "A carriage return stands without its line feed.",
     "The client must end lines with both."},
    {"http.bare_lf", "400", "A line feed stands without its carriage return.",
     "The client must end lines with both."},
    {"http.body_timeout", "408", "The body of the request stood still for too long.",
     "The client must send it faster; the operator may raise timeouts.body."},
    {"http.body_too_large", "413", "The body is larger than the route takes.",
     "The client must send less; the operator may raise max_body."},
    {"http.chunk_extension", "400, 502", "The chunks carry more extensions than Sluice takes.",
     "Whoever sent the message must leave them out."},
    {"http.chunk_size", "400, 502",
     "The size of a chunk is not a number in hexadecimal, or its data does not end where it says.",
     "Whoever sent the message must send well-formed chunks."},
    {"http.content_length", "400, 502", "Content-Length is not one number, or is given twice.",
     "Whoever sent the message must send one."},
    {"http.control_byte", "400", "A field has a control character.",
     "The client must remove or encode it."},
    {"http.expectation", "417", "Expect asks for something other than 100-continue.",
     "The client must leave it out."},
    {"http.field_name", "400", "A field's name is not a token, or blanks stand before its colon.",
     "The client must send well-formed fields."},
    {"http.head_timeout", "408", "The head of the request did not come in time.",
     "The client must send it faster; the operator may raise timeouts.head."},
    {"http.head_too_large", "431", "The head is larger than Sluice takes.",
     "The client must send fewer or shorter fields; large cookies and tokens look like this."},
    {"http.host_duplicate", "400", "There are several Host fields.", "The client must send one."},
    {"http.host_invalid", "400", "The Host field is not a host and a port.",
     "The client must send a name or an address, and a port if it is not the usual one."},
    {"http.host_missing", "400", "There is no Host field.", "The client must say whom it wants."},
    {"http.leading_bytes", "400", "More than one empty line stood before the request.",
     "The client must send one request after another, with nothing between them."},
    {"http.length_and_encoding", "400, 502",
     "Content-Length and Transfer-Encoding stand together: two parties could see two messages.",
     "Whoever sent the message must send one of them."},
    {"http.method", "501, 405", "The method is unknown, or the route does not take it.",
     "The client must use a method that Allow names; the operator may add it to methods."},
    {"http.obs_fold", "400", "A field is folded over several lines.",
     "The client must send each field on one line."},
    {"http.request_line", "400",
     "The first line is not a method, a target and a version with one blank between them.",
     "The client must send HTTP/1.1; TLS or HTTP/2 on this port looks like this."},
    {"http.status_line", "502", "The first line of the endpoint's answer is not one.",
     "The endpoint must speak HTTP/1.1 on this port."},
    {"http.target", "400", "The target does not fit the method, or has a byte that no target has.",
     "The client must percent-encode it."},
    {"http.target_encoding", "400", "The path has a broken percent-encoding, or %00.",
     "The client must encode the path once, and whole."},
    {"http.target_too_long", "414", "The target is longer than Sluice takes.",
     "The client must send long data in the body."},
    {"http.too_many_fields", "431", "The head has more fields than Sluice takes.",
     "The client must send fewer fields."},
    {"http.trailer", "400, 502", "The trailer is malformed, or too large.",
     "Whoever sent the message must send well-formed fields, or none."},
    {"http.transfer_encoding", "400, 502", "Transfer-Encoding is not a single chunked.",
     "Whoever sent the message must send chunked, or Content-Length."},
    {"http.version", "505", "The version is neither HTTP/1.0 nor HTTP/1.1.",
     "The client must speak HTTP/1.1."},
    {"jwt.algorithm", "401", "The token's algorithm is not the one of its key, or not allowed.",
     "Whoever issues it must use another; the operator may change algorithms."},
    {"jwt.audience", "401", "The token is for another audience.",
     "The client must ask for a token for this service; the operator may change audiences."},
    {"jwt.busy", "503", "Too many signatures wait to be checked.",
     "The client may try again; the operator may add cores."},
    {"jwt.bytes", "401", "The token has a byte that no token has.",
     "The client must send the token as it was issued."},
    {"jwt.claim_too_long", "401", "A claim that is used is longer than Sluice takes.",
     "Whoever issues the token must put less into it."},
    {"jwt.claim_type", "401", "A claim has another type than it must have.",
     "Whoever issues the token must be mended."},
    {"jwt.critical", "401",
     "The token has extensions that must be understood (crit), and Sluice knows none.",
     "Whoever issues it must leave them out."},
    {"jwt.depth", "401", "The JSON of the token is nested too deeply.",
     "Whoever issues it must put less into it."},
    {"jwt.duplicate", "401", "The request has several Authorization fields.",
     "The client must send one."},
    {"jwt.duplicate_member", "401", "A member of the token stands twice.",
     "Whoever issues it must be mended."},
    {"jwt.encoding", "401", "A part of the token is not base64url.",
     "The client must send the token as it was issued."},
    {"jwt.encrypted", "401", "The token is encrypted (JWE).",
     "Whoever issues it must sign it only."},
    {"jwt.expired", "401", "The token has expired.",
     "The client must get a new one; clocks that differ look like this."},
    {"jwt.flood", "429", "Too many wrong tokens came from this address.",
     "The client must wait, and send a good one; the operator may change failed_tokens."},
    {"jwt.issued_later", "401", "The token was issued in the future (iat).",
     "The clocks of issuer and gateway must agree."},
    {"jwt.issuer", "401", "The token is of another issuer.",
     "The client must send a token of the configured issuer."},
    {"jwt.json", "401", "A part of the token is not a JSON object.",
     "Whoever issues it must be mended."},
    {"jwt.lifetime", "401", "The token lives longer than max_lifetime.",
     "Whoever issues it must give it less time."},
    {"jwt.malformed", "401", "There is no token after Bearer, or more than a token.",
     "The client must send Authorization: Bearer TOKEN."},
    {"jwt.missing", "401", "The request has no token, and the route asks for one.",
     "The client must send Authorization: Bearer TOKEN."},
    {"jwt.no_expiry", "401", "The token has no exp.",
     "Whoever issues it must add one; the operator may write expiry: optional."},
    {"jwt.no_keys", "503", "There are no keys yet to judge tokens by.",
     "The operator must see that the key server answers; its failures are in the log."},
    {"jwt.not_yet", "401", "The token is not valid yet (nbf).",
     "The client must wait; clocks that differ look like this."},
    {"jwt.parts", "401", "The token does not have three parts.",
     "The client must send a signed JWT; an opaque token looks like this."},
    {"jwt.revoked", "401", "The token has been revoked.", "The client must get a new one."},
    {"jwt.scheme", "401", "Authorization is of another scheme than Bearer.",
     "The client must send Authorization: Bearer TOKEN."},
    {"jwt.several", "401", "The request has tokens in several places.",
     "The client must send one."},
    {"jwt.signature", "401", "The signature is wrong.",
     "The client must send the token as it was issued; a wrong secret or key looks like this."},
    {"jwt.signature_form", "401", "The signature does not have the length that its algorithm has.",
     "The client must send the token as it was issued."},
    {"jwt.too_long", "401", "The token is longer than Sluice takes.",
     "Whoever issues it must put less into it."},
    {"jwt.type", "401", "The token's type (typ) is not the one that is configured.",
     "The client must send a token of that type; the operator may change type."},
    {"jwt.unknown_key", "401", "No key fits the token.",
     "The client must send a token of the configured issuer; the operator must see that the key "
     "set is current."},
    {"key.malformed", "401", "This is not an API key.",
     "The client must send the key as it was made."},
    {"key.unknown", "401", "No API key fits.",
     "The client must send a known key; the operator must see that the key file is current."},
    {"limit.NAME", "429", "The limit of this name has no room for the request.",
     "The client must wait for as long as Retry-After says; the operator may raise rate, burst or "
     "concurrent."},
    {"limit.key_missing", "403", "The request lacks the claim or field that a limit counts by.",
     "The client must send it; the operator may write on_missing: skip."},
    {"offload.busy", "503", "There was no room in the queue for work beside the cores.",
     "The client may try again; many of them mean that metrics are asked for too often."},
    {"route.address", "403", "The client's address is denied, or not among those that are allowed.",
     "The operator may change allow and deny of the route."},
    {"route.argument", "400", "An argument of one of Sluice's own routes is wrong.",
     "The client must send another."},
    {"route.none", "404", "No route fits the request.",
     "The client must ask for another path, host or method; the operator may add a route."},
    {"tunnel.busy", "503", "There is no room for another tunnel.",
     "The client may try again; the operator may raise the bounds of workers."},
    {"tunnel.idle", "-", "Nothing passed through the tunnel for too long.",
     "Either side must send something now and then; the operator may raise timeouts.tunnel."},
    {"upstream.body_timeout", "504", "The endpoint's answer stood still for too long.",
     "The endpoint must send faster; the operator may raise timeouts.body of the upstream."},
    {"upstream.busy", "503", "There was no connection to the upstream in time.",
     "The client may try again; the operator may raise connections or queue, or add endpoints."},
    {"upstream.circuit_open", "503",
     "The upstream failed too often, and is left alone for a while.",
     "The client may try again later; the operator must mend the endpoints."},
    {"upstream.closed", "502", "The endpoint ended the connection before its answer was complete.",
     "The endpoint's log says why; an endpoint that crashes or stops looks like this."},
    {"upstream.connect_timeout", "504", "The endpoint did not take the connection in time.",
     "The operator must see that it can be reached; a firewall that drops packets looks like "
     "this."},
    {"upstream.head_timeout", "504", "The endpoint did not begin its answer in time.",
     "The endpoint must answer faster; the operator may raise timeouts.head of the upstream."},
    {"upstream.malformed", "502", "The answer of the endpoint breaks HTTP.",
     "The endpoint must be mended."},
    {"upstream.none_healthy", "503", "No endpoint of the upstream is healthy.",
     "The operator must mend the endpoints, or their health check."},
    {"upstream.refused", "502", "The endpoint does not take connections.",
     "The operator must see that it runs, and that its address and port are right."},
    {"upstream.unresolved", "503", "No name of the upstream has an address yet.",
     "The operator must see that the names are right and that DNS answers; sluice check --resolve "
     "says which."},
};

constexpr std::string_view limit_prefix = "limit.";
constexpr std::string_view any_limit = "limit.NAME";

constexpr bool by_code(const ReasonWords& one, const ReasonWords& other) {
  return one.code < other.code;
}
static_assert(std::is_sorted(std::begin(table), std::end(table), by_code));

// They stand in JSON and in quoted strings as they are, in room that is bounded.
constexpr bool is_plain(std::string_view text) {
  return text.size() <= 200 && text.find_first_of("\"\\") == std::string_view::npos;
}
static_assert(std::all_of(std::begin(table), std::end(table), [](const ReasonWords& words) {
  return is_plain(words.what) && is_plain(words.who);
}));

}  // namespace

std::span<const ReasonWords> all_reason_words() { return table; }

const ReasonWords* words_of(std::string_view code) {
  const auto* found =
      std::lower_bound(std::begin(table), std::end(table), ReasonWords{.code = code}, by_code);
  if (found != std::end(table) && found->code == code) return found;
  return code.starts_with(limit_prefix) ? words_of(any_limit) : nullptr;
}

}  // namespace sluice::proxy
