// The parts of an entry of auth:, a reader each. Internal to config/.
#pragma once

#include "config/document.h"

namespace sluice::config {

// config/auth_keys.cpp; after the entry's algorithms, issuers and strict_keys.
void read_secret_keys(Document& document, const YAML::Node& node, AuthConfig& entry);
void read_pem_keys(Document& document, const YAML::Node& node, AuthConfig& entry);
void read_jwks(Document& document, const YAML::Node& node, AuthConfig& entry);
// discovery: URL beside it is short for jwks: { discovery: URL }.
void read_discovery(Document& document, const Section& section, AuthConfig& entry);
void read_basic(Document& document, const YAML::Node& node, AuthConfig& entry);
void read_api_keys(Document& document, const YAML::Node& node, AuthConfig& entry);

// config/auth_claims.cpp
void read_claim_fields(Document& document, Config& config, const YAML::Node& node,
                       AuthConfig& entry);

}  // namespace sluice::config
