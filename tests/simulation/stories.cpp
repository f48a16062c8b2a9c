// Tags, and the bodies and answers that follow from them.
#include "tests/simulation/stories.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace sluice::simulation {

std::string Tag::text() const {
  return std::to_string(number) + "." + std::to_string(static_cast<unsigned>(play)) + "." +
         std::to_string(request_bytes) + "." + std::to_string(response_bytes);
}

std::optional<Tag> Tag::parse(std::string_view text) {
  unsigned long parts[4] = {};
  std::string copy{text};
  char* cursor = copy.data();
  for (int i = 0; i < 4; ++i) {
    char* end = nullptr;
    parts[i] = std::strtoul(cursor, &end, 10);
    if (end == cursor || (i < 3 && *end != '.')) return std::nullopt;
    cursor = end + 1;
  }
  if (parts[1] >= plays) return std::nullopt;
  return Tag{static_cast<uint32_t>(parts[0]), static_cast<Play>(parts[1]),
             static_cast<uint32_t>(parts[2]), static_cast<uint32_t>(parts[3])};
}

std::string body_of(const Tag& tag, bool response, uint32_t size) {
  std::string body;
  body.reserve(size);
  uint32_t state = tag.number * 2654435761U + (response ? 1 : 7);
  while (body.size() < size) {
    state = state * 1664525U + 1013904223U;
    body += static_cast<char>(state >> 24);
  }
  return body;
}

bool has_trailers(const Tag& tag) { return tag.number % 3 == 0; }

std::string trailers_of(const Tag& tag) {
  if (!has_trailers(tag)) return {};
  return "X-Forwarded-For: 6.6.6.6\r\nX-Check:  " + std::to_string(tag.number * 31) +
         " \r\nContent-Type: text/evil\r\nX_Under: 1\r\nHost: evil\r\nx-second:yes\r\nSet-Cookie: "
         "a=b\r\n";
}

bool Message::has_right_trailers(const Tag& tag) const {
  if (!has_trailers(tag)) return trailers.empty();
  return trailers.size() == 2 &&
         trailers[0] ==
             std::pair<std::string, std::string>{"x-check", std::to_string(tag.number * 31)} &&
         trailers[1] == std::pair<std::string, std::string>{"x-second", "yes"};
}

const std::string* Message::field(std::string_view name) const {
  for (const auto& [present, value] : fields) {
    if (present == name) return &value;
  }
  return nullptr;
}

std::vector<std::string> Message::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [field, value] : fields) {
    if (field == name) all.push_back(value);
  }
  return all;
}

unsigned Message::count(std::string_view name) const {
  return static_cast<unsigned>(std::count_if(
      fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; }));
}

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The field lines from `at` to the empty line; npos if they are not all there.
size_t take_trailers(const std::string& bytes, size_t at, Message& message, bool& broken) {
  while (true) {
    const size_t end = bytes.find("\r\n", at);
    if (end == std::string::npos) return end;
    if (end == at) return at + 2;
    const std::string line = bytes.substr(at, end - at);
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) {
      broken = true;
      return std::string::npos;
    }
    message.trailers.emplace_back(lower(line.substr(0, colon)), line.substr(colon + 2));
    at = end + 2;
  }
}

// The body of a chunked message from `at`; npos if it is not all there.
size_t take_chunks(const std::string& bytes, size_t at, Message& message, bool& broken) {
  while (true) {
    const size_t line_end = bytes.find("\r\n", at);
    if (line_end == std::string::npos) return std::string::npos;
    const std::string line = bytes.substr(at, line_end - at);
    if (line.empty() || line.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos ||
        line.size() > 8) {
      broken = true;
      return std::string::npos;
    }
    const size_t size = std::strtoul(line.c_str(), nullptr, 16);
    at = line_end + 2;
    if (size == 0) return take_trailers(bytes, at, message, broken);
    if (bytes.size() < at + size + 2) return std::string::npos;
    message.body.append(bytes, at, size);
    at += size;
    if (bytes.compare(at, 2, "\r\n") != 0) {
      broken = true;
      return std::string::npos;
    }
    at += 2;
  }
}

}  // namespace

Taken take_message(std::string& bytes, Reading reading, bool closed) {
  Taken taken;
  const auto broken = [&](std::string why) {
    taken.state = Taken::State::broken;
    taken.why = std::move(why);
    return taken;
  };
  const size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string::npos) return taken;
  size_t at = bytes.find("\r\n");
  taken.message.start_line = bytes.substr(0, at);
  at += 2;
  while (at < head_end + 2) {
    const size_t end = bytes.find("\r\n", at);
    const std::string line = bytes.substr(at, end - at);
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) return broken("a field without a colon: " + line);
    taken.message.fields.emplace_back(lower(line.substr(0, colon)), line.substr(colon + 2));
    at = end + 2;
  }
  at = head_end + 4;
  const Message& message = taken.message;
  if (message.count("content-length") + message.count("transfer-encoding") > 1)
    return broken("more than one framing");
  bool bodiless = reading == Reading::response_to_head;
  if (reading != Reading::request) {
    if (message.start_line.compare(0, 9, "HTTP/1.1 ") != 0)
      return broken("no status line: " + message.start_line);
    const std::string status = message.start_line.substr(9, 3);
    bodiless |= status == "204" || status == "304" || status[0] == '1';
  }
  size_t end = at;
  if (bodiless) {
  } else if (message.field("transfer-encoding") != nullptr) {
    bool bad = false;
    end = take_chunks(bytes, at, taken.message, bad);
    if (bad) return broken("bad chunks");
    if (end == std::string::npos) return taken;
  } else if (const std::string* length = message.field("content-length"); length != nullptr) {
    const size_t size = std::strtoul(length->c_str(), nullptr, 10);
    if (bytes.size() < at + size) return taken;
    taken.message.body = bytes.substr(at, size);
    end = at + size;
  } else if (reading != Reading::request) {
    if (!closed) return taken;
    taken.message.body = bytes.substr(at);
    taken.message.ended_by_close = true;
    end = bytes.size();
  }
  bytes.erase(0, end);
  taken.state = Taken::State::complete;
  return taken;
}

}  // namespace sluice::simulation
