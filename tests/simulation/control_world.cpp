// Simulated files, names, key servers and time of the control plane.
#include "tests/simulation/control_world.h"

#include <array>

#include "auth/jwks.h"
#include "auth/mint.h"

namespace sluice::simulation {

using std::chrono::milliseconds;

std::string key_name(size_t number) { return "key-" + std::to_string(number); }

const std::string& key_set(size_t number) {
  static const auto sets = [] {
    std::array<std::string, key_sets> all;
    for (size_t index = 0; index < all.size(); ++index) {
      const auto made = auth::generate_signing_key(auth::Algorithm::eddsa, key_name(index));
      const auto& key = std::get<auth::SigningKey>(made);
      all[index] =
          "{\"keys\":[" + auth::to_jwk(key.algorithm, key.pkey.get(), key_name(index)) + "]}";
    }
    return all;
  }();
  return sets[number];
}

gateway::Fetched ControlWorld::answer_of(const gateway::Question& question) {
  if (!question.address.empty()) {
    const Mood mood = endpoints[question.address];
    if (mood == Mood::silent || mood == Mood::refusing) return {.complaint = "refused"};
    return {.status = mood == Mood::good ? 200 : 500};
  }
  const Server& server = servers[question.url];
  switch (server.mood) {
    case Mood::good: return {.status = 200, .body = key_set(server.key)};
    case Mood::nonsense: return {.status = 200, .body = "<html>"};
    case Mood::silent:
    case Mood::refusing: break;
  }
  return {.complaint = "nobody answers"};
}

void ControlWorld::Network::ask(uint64_t ticket, const gateway::Question& question) {
  world_.only_on(owner_, "a question to others");
  const bool is_silent =
      (question.address.empty() ? world_.servers[question.url].mood
                                : world_.endpoints[question.address]) == Mood::silent;
  const milliseconds takes =
      is_silent ? question.timeout : milliseconds{1 + world_.random.below(300)};
  asked_.push_back(
      {ticket, question, world_.now + takes,
       is_silent ? gateway::Fetched{.complaint = "it took too long"} : world_.answer_of(question)});
}

gateway::Fetcher::Answers ControlWorld::Network::answers() {
  world_.only_on(owner_, "the wait for answers");
  gateway::Fetcher::Answers all;
  std::erase_if(asked_, [&](const Asked& asked) {
    if (asked.due > world_.now) return false;
    all.emplace_back(asked.ticket, asked.fetched);
    return true;
  });
  return all;
}

gateway::Names ControlWorld::resolve(const std::set<std::string>& names) {
  if (thread != Thread::names && thread != Thread::preparer)
    fail("a name is looked up on a thread that must not wait");
  gateway::Names all;
  for (const std::string& name : names) {
    gateway::Resolved& resolved = all[name];
    if (dns == Mood::good) {
      for (const std::string& address : addresses[name])
        resolved.addresses.push_back(*core::SocketAddress::parse_host(address, 0));
      resolved.ttl = std::chrono::seconds{1 + random.below(3)};
    }
    if (resolved.addresses.empty()) resolved.complaint = "no answer";
  }
  return all;
}

void ControlWorld::misbehave() {
  constexpr std::array moods{Mood::good, Mood::good, Mood::silent, Mood::refusing, Mood::nonsense};
  const auto any_mood = [&] { return moods[random.below(moods.size())]; };
  switch (random.below(5)) {
    case 0:
      for (auto& [url, server] : servers) {
        if (happens(50)) server = {any_mood(), static_cast<size_t>(random.below(key_sets))};
      }
      break;
    case 1: dns = any_mood(); break;
    case 2:
      for (auto& [name, all] : addresses) {
        if (happens(50)) all = {"127.0.0." + std::to_string(1 + random.below(6))};
        if (happens(10)) all.clear();
      }
      break;
    case 3:
      for (auto& [address, mood] : endpoints) {
        if (happens(30)) mood = any_mood();
      }
      break;
    case 4:
      for (auto& [path, text] : files) {
        if (happens(50)) text = happens(80) ? key_set(random.below(key_sets)) : "{";
      }
      break;
  }
}

void ControlWorld::calm_down() {
  dns = Mood::good;
  for (auto& [url, server] : servers) server.mood = Mood::good;
  for (auto& [address, mood] : endpoints) mood = Mood::good;
  for (auto& [path, text] : files) text = key_set(random.below(key_sets));
  for (auto& [name, all] : addresses) {
    if (all.empty()) all = {"127.0.0.1"};
  }
}

}  // namespace sluice::simulation
