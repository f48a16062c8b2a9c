// Answers that Sluice makes itself, to clients that speak gRPC: a status in a head that is all
// there is (trailers-only), because such a client looks at nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "proxy/local_reply.h"

namespace sluice::proxy {

// Whether the content is application/grpc, of any kind.
[[nodiscard]] bool speaks_grpc(const http::RequestHead& request);

// The status of gRPC that a refusal with this status of HTTP comes to, as gRPC itself maps them,
// and where it has more to say: 429 is RESOURCE_EXHAUSTED, 504 is DEADLINE_EXCEEDED.
[[nodiscard]] uint32_t grpc_status(uint16_t status);

// Writes the head into `out`, local_reply_bytes_max large; returns the length. The message is the
// reason code; Retry-After is said as grpc-retry-pushback-ms, too.
[[nodiscard]] size_t write_grpc_reply(std::span<std::byte> out, const LocalReply& reply,
                                      const ReplyContext& context);

}  // namespace sluice::proxy
