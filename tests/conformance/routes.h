// A gateway by a configuration as it is written, asked over the simulated kernel.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "config/reader.h"
#include "tests/conformance/rig.h"
#include "tests/simulation/one_worker.h"

namespace sluice::conformance {

class Routes : public ::testing::Test {
 protected:
  // `text` is all but the upstream "one", which is the origin's.
  config::Config read(const std::string& text) {
    ::setenv("ROUTES_TEST_SECRET",
             "a secret of the tests that is long enough even for HS512, as the warning would say",
             1);
    const std::string upstreams =
        text.find("upstreams:") != std::string::npos
            ? ""
            : "upstreams: { one: { endpoints: [http://127.0.0.1:9001] } }\n";
    config::ConfigReading reading = config::read_config_text("test.yaml", upstreams + text);
    for (const std::string& complaint : reading.complaints) ADD_FAILURE() << complaint;
    config::Config config = reading.config.value_or(config::Config{});
    config.cores = {-1};
    config.bounds = {.connections = 300,
                     .exchanges = 32,
                     .upstream_connections = 16,
                     .limiter_keys = 100,
                     .request_body_bytes = 1000};
    return config;
  }
  void start(const std::string& text) {
    gateway_ = std::make_unique<simulation::OneWorker>(world_, read(text));
  }
  // One request on a connection of its own.
  simulation::Message ask(const std::string& request, const std::string& fields = "",
                          const std::string& body = "") {
    RawClient client{world_};
    const std::string length =
        body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
    client.send(request + " HTTP/1.1\r\nHost: api.test\r\n" + length + fields + "\r\n" + body);
    gateway_->run_for(std::chrono::milliseconds{200});
    last_ = client.answers(request.starts_with("HEAD ") ? simulation::Reading::response_to_head
                                                        : simulation::Reading::response);
    return client.messages().empty() ? simulation::Message{} : client.messages().front();
  }
  static std::string field(const simulation::Message& message, const char* name) {
    const std::string* value = message.field(name);
    return value == nullptr ? "(none)" : *value;
  }
  std::string went_up() {
    const std::string line =
        origin_.messages().empty() ? "(nothing)" : origin_.messages().back().start_line;
    origin_.forget();
    return line;
  }

  World world_{7, {}};
  RecordingOrigin origin_{world_};
  std::unique_ptr<simulation::OneWorker> gateway_;
  std::string last_;
};

}  // namespace sluice::conformance
