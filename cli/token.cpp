// sluice token mint | inspect | verify
#include <fmt/core.h>
#include <simdjson.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>

#include "auth/base64url.h"
#include "auth/mint.h"
#include "auth/token_verifier.h"
#include "cli/commands.h"
#include "config/reader.h"
#include "gateway/gateway.h"
#include "gateway/key_keeper.h"
#include "gateway/service.h"

namespace sluice::cli {

namespace {

int complain(const std::string& text) {
  gateway::say(text);
  return gateway::exit_usage;
}

auth::EpochSeconds now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::variant<auth::SigningKey, Complaint> signing_key(const MintFlags& flags) {
  std::optional<auth::Algorithm> algorithm;
  if (!flags.algorithm.empty()) {
    algorithm = auth::parse_algorithm(flags.algorithm);
    if (!algorithm)
      return Complaint{"--alg \"" + flags.algorithm +
                       "\" is none of HS256, RS256, PS256, ES256 (and 384, 512 of each), EdDSA"};
  }
  if (flags.key.empty()) {
    if (algorithm && auth::family(*algorithm) != auth::Family::hmac)
      return Complaint{"--alg " + flags.algorithm + " needs --key FILE, a private key"};
    const auto secret = read_secret();
    if (const auto* complaint = std::get_if<Complaint>(&secret)) return *complaint;
    auth::SigningKey key = auth::signing_secret(std::get<std::string>(secret),
                                                algorithm.value_or(auth::Algorithm::hs256));
    key.kid = flags.kid;
    return key;
  }
  std::ifstream file{flags.key};
  std::ostringstream pem;
  if (!file || !(pem << file.rdbuf()))
    return Complaint{"--key " + flags.key + ": the file can't be read"};
  auto key = auth::read_signing_key(pem.str(), algorithm, flags.kid);
  if (const auto* complaint = std::get_if<auth::KeyComplaint>(&key))
    return Complaint{"--key " + flags.key + ": " + complaint->text};
  if (flags.kid.empty())
    std::get<auth::SigningKey>(key).kid = auth::thumbprint(std::get<auth::SigningKey>(key));
  return std::move(std::get<auth::SigningKey>(key));
}

// Parts of a token as texts; nothing if it is not of three.
std::optional<std::pair<std::string, std::string>> decode(const std::string& token) {
  const size_t first = token.find('.');
  const size_t second = first == std::string::npos ? first : token.find('.', first + 1);
  if (second == std::string::npos) return std::nullopt;
  const auto text = [](std::string_view part) -> std::optional<std::string> {
    std::string out(part.size(), 0);
    const auto size =
        auth::base64url_decode(part, {reinterpret_cast<unsigned char*>(out.data()), out.size()});
    if (!size) return std::nullopt;
    out.resize(*size);
    return out;
  };
  const auto header = text(std::string_view{token}.substr(0, first));
  const auto payload = text(std::string_view{token}.substr(first + 1, second - first - 1));
  if (!header || !payload) return std::nullopt;
  return std::pair{*header, *payload};
}

std::string date(int64_t seconds) {
  const time_t time = seconds;
  std::tm calendar{};
  ::gmtime_r(&time, &calendar);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &calendar);
  return text;
}

// From the argument, or for "-" the first line of standard input: then it stands in no list of
// processes.
std::string read_token(const std::string& argument) {
  if (argument != "-") return argument;
  std::string line;
  std::getline(std::cin, line);
  return line;
}

void print_members(const char* what, const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  fmt::print("{}\n", what);
  if (parser.parse(json).get_object().get(object) != simdjson::SUCCESS) {
    fmt::print("  this is no JSON object: {}\n", json);
    return;
  }
  for (const auto field : object) {
    int64_t number = 0;
    const bool is_date = field.key == "exp" || field.key == "nbf" || field.key == "iat";
    const bool is_number = field.value.get_int64().get(number) == simdjson::SUCCESS;
    fmt::print("  {:<10} {}{}\n", field.key, simdjson::minify(field.value),
               is_date && is_number ? "  (" + date(number) + ")" : "");
  }
}

std::string member(const std::string& json, const char* name) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(json).at_key(name).get(element) != simdjson::SUCCESS) return "(none)";
  return simdjson::minify(element);
}

std::string issuers_in_words(const auth::Provider& provider) {
  if (provider.issuer_source == auth::IssuerSource::discovered) return "as its discovery says";
  std::string text;
  for (const auth::Issuer& issuer : provider.issuers)
    text += (text.empty() ? "\"" : " or \"") + issuer.text + "\"";
  return text.empty() ? "any" : text;
}

void print_checks(const auth::Provider& provider, const std::string& header,
                  const std::string& payload) {
  const auto line = [](const char* check, const std::string& found, const std::string& wanted) {
    fmt::print("  {:<11} {:<40} {}\n", check, found, wanted);
  };
  std::string algorithms, audiences;
  for (const auth::Algorithm algorithm : provider.algorithms)
    algorithms += std::string{auth::to_string(algorithm)} + " ";
  for (const std::string& audience : provider.audiences) audiences += "\"" + audience + "\" ";
  const std::string skew = fmt::format("{} s of skew", provider.skew.count());
  fmt::print("  {:<11} {:<40} {}\n", "check", "token", "auth " + provider.name);
  line("alg", member(header, "alg"), "one of " + algorithms);
  line("typ", member(header, "typ"), provider.type.empty() ? "any" : provider.type);
  line("kid", member(header, "kid"), "of a key that is known");
  line("iss", member(payload, "iss"), issuers_in_words(provider));
  line("aud", member(payload, "aud"), audiences.empty() ? "any" : "one of " + audiences);
  line("exp", member(payload, "exp"),
       fmt::format("after {} ({}), {}", now().time_since_epoch().count(),
                   date(now().time_since_epoch().count()),
                   provider.expiry == auth::Expiry::required ? "required, " + skew : skew));
  line("nbf", member(payload, "nbf"), "not after now, " + skew);
  line("iat", member(payload, "iat"), "not after now, " + skew);
  line("exp - iat", "",
       provider.max_lifetime.count() == 0
           ? "any"
           : fmt::format("at most {} s", provider.max_lifetime.count()));
}

}  // namespace

int token_mint_command(const MintFlags& flags) {
  auto key = signing_key(flags);
  if (const auto* complaint = std::get_if<Complaint>(&key)) return complain(complaint->text);
  const auto ttl = config::parse_duration(flags.ttl);
  if (const auto* complaint = std::get_if<Complaint>(&ttl))
    return complain("--ttl: " + complaint->text);
  auth::MintOptions options{
      .key = &std::get<auth::SigningKey>(key), .subject = flags.subject, .issued_at = now()};
  options.expires = options.issued_at +
                    std::chrono::duration_cast<std::chrono::seconds>(std::get<core::Duration>(ttl));
  std::string more;
  const auto split =
      [&](const std::string& text, const char* flag,
          const char* form) -> std::variant<std::pair<std::string, std::string>, Complaint> {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == std::string::npos || equals == 0)
      return Complaint{std::string{flag} + " \"" + text + "\" is not " + form};
    if (name == "sub" || name == "iat" || name == "exp")
      return Complaint{std::string{flag} + " " + name + ": use --sub and --ttl"};
    return std::pair{name, text.substr(equals + 1)};
  };
  for (const std::string& claim : flags.claims) {
    const auto parts = split(claim, "--claim", "NAME=VALUE");
    if (const auto* complaint = std::get_if<Complaint>(&parts)) return complain(complaint->text);
    options.claims.push_back(std::get<0>(parts));
  }
  for (const std::string& claim : flags.json) {
    const auto parts = split(claim, "--json", "NAME=JSON");
    if (const auto* complaint = std::get_if<Complaint>(&parts)) return complain(complaint->text);
    const auto& [name, value] = std::get<0>(parts);
    simdjson::dom::parser parser;
    if (parser.parse(value).error() != simdjson::SUCCESS)
      return complain("--json " + name + ": \"" + value + "\" is no JSON");
    more += (more.empty() ? "\"" : ",\"") + name + "\":" + value;
  }
  options.more = more;
  fmt::print("{}\n", auth::mint(options));
  return gateway::exit_clean;
}

int token_inspect_command(const std::string& argument) {
  const std::string token = read_token(argument);
  const auto parts = decode(token);
  if (!parts)
    return complain("this is no token: three parts of base64url with dots between are wanted");
  fmt::print("Nothing of this is verified; see sluice token verify.\n\n");
  print_members("Header", parts->first);
  print_members("Payload", parts->second);
  return gateway::exit_clean;
}

int token_verify_command(const VerifyFlags& flags) {
  const config::ConfigReading reading = config::read_config(flags.config);
  for (const std::string& complaint : reading.complaints) gateway::say(complaint);
  if (!reading.config) return gateway::exit_usage;
  const config::Config& config = *reading.config;
  auth::ProviderSet providers = 0;
  for (size_t index = 0; index < config.auth.size(); ++index) {
    if (flags.auth.empty() || config.auth[index].provider.name == flags.auth)
      providers |= auth::ProviderSet{1} << index;
  }
  if (providers == 0)
    return complain("--auth \"" + flags.auth + "\": there is none of this name in " + flags.config);
  gateway::KeyKeeper keeper;
  const auto keys = keeper.admit(config);
  keeper.settle(*keys);
  for (const std::string& complaint : keys->complaints()) gateway::say(complaint);
  if (!keys->complaints().empty()) return gateway::exit_usage;
  for (const std::string& notice : keeper.take_notices()) gateway::say(notice);
  auth::TokenVerifier verifier{{.providers = config.providers,
                                .claims = config.claims,
                                .requirements = config.requirements}};
  verifier.adopt(keys->snapshot());
  const std::string token = read_token(flags.token);
  auth::Examined examined;
  verifier.examine(token, providers, now(), examined);
  if (examined.refusal == auth::Refusal::none) verifier.check_signature(examined);
  if (const auto parts = decode(token))
    print_checks(verifier.provider(examined), parts->first, parts->second);
  if (examined.refusal != auth::Refusal::none) {
    fmt::print("\nRefused: {}\n", auth::reason_code(examined.refusal));
    return 1;
  }
  fmt::print("  {:<11} {:<40} {}\n", "signature", "good",
             std::string{auth::to_string(verifier.key(examined, 0).algorithm)});
  fmt::print("\nGood: it is {}.\n", examined.principal.subject().empty()
                                        ? "nobody's by name"
                                        : examined.principal.subject());
  return gateway::exit_clean;
}

}  // namespace sluice::cli
