#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>

#include "umbel/http/registry.h"
#include "umbel/http/server.h"
#include "umbel/http/tls_context.h"

namespace umbel::http {

// What all connections of a server share; lives as long as the last of them.
struct ServerCore {
  ServerCore(ServerOptions given, Handler& handler_, std::shared_ptr<const TlsContext> tls_)
      : options(std::move(given)),
        handler(handler_),
        tls(std::move(tls_)),
        certificate_sha256(tls == nullptr ? std::string(32, '\0') : tls->certificate_sha256()),
        registry(options.connections_max, options.connections_per_address_max),
        context(static_cast<int>(options.threads)) {}

  const ServerOptions options;
  Handler& handler;
  const std::shared_ptr<const TlsContext> tls;
  const std::string certificate_sha256;
  Registry registry;
  boost::asio::io_context context;
};

}  // namespace umbel::http
