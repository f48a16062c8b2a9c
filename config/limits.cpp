// limits: and limiter: of the configuration file.
#include <algorithm>

#include "config/sections.h"

namespace sluice::config {

namespace {

using limiter::Limit;

constexpr std::string_view key_forms = "address, route, claim:NAME or header:NAME";

// { claim: NAME } or { claim: [NAME, NAME] }, a nested one.
std::optional<KeyPart> read_claim_part(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "key", {"claim"}};
  if (!section.has("claim")) return std::nullopt;
  const auto name = read_claim(document, section.get("claim"));
  if (!name) return std::nullopt;
  const auto claim = claim_index(document, config, node, *name);
  return claim ? std::optional{KeyPart{.kind = KeyPart::Kind::claim, .claim = *claim}}
               : std::nullopt;
}

std::optional<KeyPart> read_key_part(Document& document, Config& config, const YAML::Node& node) {
  if (node.IsMap()) return read_claim_part(document, config, node);
  const auto text = document.text(node, std::string{key_forms});
  if (!text) return std::nullopt;
  if (*text == "address") return KeyPart{.kind = KeyPart::Kind::address};
  if (*text == "route") return KeyPart{.kind = KeyPart::Kind::route};
  const auto colon = text->find(':');
  const std::string kind = text->substr(0, colon);
  const std::string name = colon == std::string::npos ? "" : text->substr(colon + 1);
  if (kind == "header" && is_token(name))
    return KeyPart{.kind = KeyPart::Kind::header, .name = name};
  if (kind == "claim" && !name.empty()) {
    const auto claim = claim_index(document, config, node, name);
    return claim ? std::optional{KeyPart{.kind = KeyPart::Kind::claim, .claim = *claim}}
                 : std::nullopt;
  }
  constexpr std::string_view known[] = {"address",     "route", "claim:NAME",
                                        "header:NAME", "claim", "header"};
  const std::string_view meant = nearest(kind, known);
  document.complain(node, "\"" + *text + "\" is no key; accepted are " + std::string{key_forms} +
                              (meant.empty() ? "" : "; did you mean " + std::string{meant} + "?"));
  return std::nullopt;
}

}  // namespace

std::vector<KeyPart> read_key(Document& document, Config& config, const YAML::Node& node) {
  std::vector<KeyPart> key;
  for (const YAML::Node& part : document.list(node)) {
    if (auto read = read_key_part(document, config, part)) key.push_back(std::move(*read));
  }
  return key;
}

namespace {

void read_limit(Document& document, Config& config, const std::string& name,
                const YAML::Node& node) {
  const auto is_same = [&](const NamedLimit& other) { return other.name == name; };
  if (std::any_of(config.limits.begin(), config.limits.end(), is_same)) {
    document.complain(node, "another file has a limit called \"" + name + "\" too");
    return;
  }
  const Section section{document,
                        node,
                        "limits." + name,
                        {"key", "rate", "burst", "delay", "shape", "max_hold", "concurrent",
                         "stage", "on_missing", "dry_run", "announce"}};
  NamedLimit named{.name = name};
  if (section.has("key")) {
    named.key = read_key(document, config, section.get("key"));
  } else {
    document.complain(node, "limit " + name + " has no key; it may be " + std::string{key_forms} +
                                ", or a list of them");
  }
  Limit rule;
  if (const YAML::Node stage = section.get("stage"); stage.IsDefined()) {
    if (const auto word = document.word(stage, {"before_auth", "after_auth"})) {
      named.stage = *word == "before_auth" ? LimitStage::before_auth : LimitStage::after_auth;
    }
  }
  const bool uses_claims = std::any_of(named.key.begin(), named.key.end(), [](const KeyPart& part) {
    return part.kind == KeyPart::Kind::claim;
  });
  if (named.stage == LimitStage::before_auth && uses_claims) {
    document.complain(
        section.get("stage"),
        "limit " + name +
            " counts by a claim, and before_auth no claim is verified; write after_auth");
  }
  if (const YAML::Node missing = section.get("on_missing"); missing.IsDefined()) {
    if (const auto word = document.word(missing, {"refuse", "skip"}))
      named.on_missing = *word == "skip" ? OnMissing::skip : OnMissing::refuse;
  }
  if (const YAML::Node dry = section.get("dry_run"); dry.IsDefined()) {
    if (const auto word = document.word(dry, {"true", "false"}); word && *word == "true")
      rule.enforcement = limiter::Enforcement::dry_run;
  }
  bool is_announced = true;
  section.read_switch("announce", is_announced);
  if (!is_announced) rule.announcement = limiter::Announcement::silent;
  if (!section.has("rate") && !section.has("concurrent")) {
    document.complain(
        node, "limit " + name + " limits nothing; write a rate like 10/s, concurrent: N, or both");
  }
  for (const std::string_view key : {"burst", "delay", "shape", "max_hold"}) {
    if (section.has(key) && !section.has("rate"))
      document.complain(section.get(key), std::string{key} + " means nothing without a rate");
  }
  if (section.has("rate")) {
    read_policy(document, section, rule.policy);
    config.add_limit(named, rule);
  }
  if (section.has("concurrent")) {
    rule.kind = Limit::Kind::concurrency;
    rule.concurrent = 1;
    section.read_number("concurrent", rule.concurrent, 1, 1'000'000);
    config.add_limit(named, rule);
  }
}

// What is written of holding requests back and can't come true.
void warn_of_holds(Document& document, const Section& section, const limiter::Policy& policy) {
  const uint32_t held = policy.burst - policy.delay;
  if (held == 0) {
    for (const std::string_view key : {"shape", "max_hold"}) {
      const bool is_asked =
          section.has(key) && (key == "max_hold" || section.get(key).Scalar() == "true");
      if (is_asked)
        document.warn(section.get(key), std::string{key} +
                                            " has no effect: nothing is held back unless delay is "
                                            "below burst (" +
                                            std::to_string(policy.burst) +
                                            "); shape: true holds back all of it");
    }
    return;
  }
  const core::Duration longest = limiter::hold_time(policy, held);
  if (longest <= policy.max_hold) return;
  const auto number = [](uint64_t value) { return std::to_string(value); };
  const uint64_t reached = limiter::held_within(policy, policy.max_hold);
  document.warn(section.get("burst"),
                "burst " + number(policy.burst) + " is never reached: " + number(policy.delay) +
                    " pass at once and the other " + number(held) +
                    " leave one by one, the last after " + in_words(longest) +
                    ", but max_hold is " + in_words(policy.max_hold) + ", in which only " +
                    number(reached) + " leave; the rest get 429. Write max_hold: " +
                    in_words(longest) + ", delay: " + number(policy.burst - reached) +
                    " or burst: " + number(policy.delay + reached));
}

}  // namespace

void read_policy(Document& document, const Section& section, limiter::Policy& policy) {
  section.read("rate", policy.rate, "a rate like 10/s",
               [](const std::string& text) { return parse_rate(text); });
  section.read_number("burst", policy.burst, 0, limiter::burst_max);
  bool shapes = false;
  section.read_switch("shape", shapes);
  policy.delay = shapes ? 0 : policy.burst;
  section.read_number("delay", policy.delay, 0, limiter::burst_max);
  section.read_duration("max_hold", policy.max_hold);
  if (const auto complaint = limiter::check_policy(policy)) {
    document.complain(section.get(section.has("delay")   ? "delay"
                                  : section.has("burst") ? "burst"
                                                         : "rate"),
                      complaint->text);
  } else if (section.has("shape") && !shapes && policy.delay < policy.burst) {
    document.complain(section.get("shape"), "shape: false, and a delay below burst shapes; write " +
                                                std::string{"one of the two"});
  } else {
    warn_of_holds(document, section, policy);
  }
}

void check_holds(Document& document, const Config& config, const std::vector<YAML::Node>& nodes) {
  for (size_t index = 0; index < nodes.size(); ++index) {
    const Route& route = config.routes[index];
    for (const auto& list : {route.limits_before, route.limits_after}) {
      for (const uint16_t number : list) {
        const limiter::Policy& policy = config.limit_rules[number].policy;
        const core::Duration longest =
            std::min(policy.max_hold, limiter::hold_time(policy, policy.burst - policy.delay));
        for (const TrafficSplit::Part& part : route.to.parts) {
          const UpstreamConfig& upstream = config.upstreams[part.upstream];
          if (upstream.timeouts.deadline == core::Duration{0} ||
              longest <= upstream.timeouts.deadline)
            continue;
          document.warn(nodes[index], "limit " + config.limits[number].name +
                                          " may hold a request for " + in_words(longest) +
                                          ", and the deadline of upstream " + upstream.name +
                                          " is " + in_words(upstream.timeouts.deadline) +
                                          ": who would be held beyond it gets 429 at once");
        }
      }
    }
  }
}

void read_limits(Document& document, Config& config, const YAML::Node& node) {
  for_each_named(document, node, "limits", [&](const std::string& name, const YAML::Node& value) {
    read_limit(document, config, name, value);
  });
  if (config.limits.size() > limits_max) {
    document.complain(node, std::to_string(config.limits.size()) + " limits; at most " +
                                std::to_string(limits_max) + " are possible");
  }
}

void read_limiter(Document& document, Config& config, const YAML::Node& node) {
  const Section section{
      document, node, "limiter", {"keys", "on_full", "ipv4_prefix", "ipv6_prefix", "held_max"}};
  section.read_number("keys", config.bounds.limiter_keys, 1, uint64_t{1} << 40);
  section.read_number("held_max", config.bounds.held, 0, 1'000'000);
  section.read_number("ipv4_prefix", config.network_bits.ipv4, 8, 32);
  section.read_number("ipv6_prefix", config.network_bits.ipv6, 16, 64);
  if (const YAML::Node full = section.get("on_full"); full.IsDefined()) {
    if (const auto word = document.word(full, {"refuse", "admit"})) {
      config.limits_on_full = *word == "admit" ? limiter::OnFull::admit : limiter::OnFull::refuse;
    }
  }
  if (const auto complaint = check_limiter_memory(config.bounds.limiter_keys))
    document.complain(section.get("keys"), complaint->text);
}

}  // namespace sluice::config
