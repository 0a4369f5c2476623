#include <charconv>

#include "umbel/base/text.h"
#include "umbel/http/client.h"

namespace umbel::http {

std::string Endpoint::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<Endpoint> parse_endpoint(std::string_view text, Trust trust) {
  const auto wrong = [&] {
    return invalid_argument("\"{}\": HOST, HOST:PORT or [ADDRESS]:PORT is expected",
                            escaped(text.substr(0, 300)));
  };
  Endpoint endpoint;
  endpoint.trust = std::move(trust);
  std::string_view host = text, port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return wrong();
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    has_port = !port.empty();
    if (host.find(':') == std::string_view::npos || (has_port && port.front() != ':')) {
      return wrong();
    }
    if (has_port) port.remove_prefix(1);
  } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  std::string allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
  if (text.starts_with('[')) allowed += ":%";
  if (host.empty() || host.size() > 253 || host.find_first_not_of(allowed) != host.npos) {
    return wrong();
  }
  if (has_port) {
    const auto [end, error] =
        std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0) {
      return wrong();
    }
  }
  endpoint.host = host;
  return endpoint;
}

}  // namespace umbel::http
