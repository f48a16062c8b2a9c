// The simplest two ends of a conversation, for tests that measure what is between them.
#pragma once

#include <map>
#include <string>

#include "tests/simulation/world.h"

namespace sluice::simulation {

// Answers each request, whatever it is, with 13 bytes.
struct Responder : Actor {
  explicit Responder(World& in) : world(in) {}
  void on_socket(SocketId socket) override {
    std::string& text = texts[socket];
    text += world.take(socket, SIZE_MAX);
    while (text.find("\r\n\r\n") != std::string::npos) {
      text.erase(0, text.find("\r\n\r\n") + 4);
      world.send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nServer: s\r\n\r\n" + body);
    }
  }
  World& world;
  std::string body = "Hello, world!";
  std::map<SocketId, std::string> texts;
};

// Asks again as soon as it has its answer.
struct Asker : Actor {
  explicit Asker(World& in) : world(in) {}
  void on_socket(SocketId socket) override {
    const std::string answer = world.take(socket, SIZE_MAX);
    if (answer.find(expected) != std::string::npos) {
      ++answers;
      world.send(socket, request);
    }
  }
  World& world;
  std::string request;
  std::string expected = "Hello, world!";
  uint64_t answers = 0;
};

}  // namespace sluice::simulation
