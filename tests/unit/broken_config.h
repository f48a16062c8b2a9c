// Configurations that are good but for one thing, and what must be said of it.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "config/reader.h"

namespace sluice::tests {

struct Broken {
  std::string from, to;   // what stands in the good one, and what stands there instead
  std::string complaint;  // a part of it
};

// `text` with the first `from` replaced; a failure if there is none.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Each is refused, with its own complaint in its place; `secret` stands in none.
inline void expect_complaints(const std::string& good, std::span<const Broken> table,
                              const std::string& secret) {
  for (const Broken& broken : table) {
    const config::ConfigReading reading =
        config::read_config_text("sluice.yaml", with(good, broken.from, broken.to));
    EXPECT_FALSE(reading.config) << broken.to;
    std::string all;
    for (const auto& complaint : reading.complaints) {
      EXPECT_TRUE(complaint.starts_with("sluice.yaml:")) << complaint;
      EXPECT_EQ(complaint.find(secret), std::string::npos);
      all += complaint + "\n";
    }
    EXPECT_NE(all.find(broken.complaint), std::string::npos) << broken.to << "\n" << all;
  }
}

}  // namespace sluice::tests
