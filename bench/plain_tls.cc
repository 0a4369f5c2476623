#include "bench/plain_tls.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "bench/measure.h"
#include "umbel/base/check.h"
#include "umbel/base/shared_blob.h"

namespace umbel::bench {

namespace {

constexpr size_t kPieceBytes = 256 << 10;

struct Free {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> reader(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Owned<SSL_CTX> context_of(const SSL_METHOD* method) {
  Owned<SSL_CTX> context(SSL_CTX_new(method));
  UMBEL_CHECK(SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256") == 1);
  UMBEL_CHECK(SSL_CTX_set1_groups_list(context.get(), "X25519") == 1);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  return context;
}

Owned<SSL_CTX> server_context(const http::Identity& identity) {
  Owned<SSL_CTX> context = context_of(TLS_server_method());
  const Owned<BIO> chain = reader(identity.certificate_pem), key_text = reader(identity.key_pem);
  const Owned<X509> own(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  UMBEL_CHECK(SSL_CTX_use_certificate(context.get(), own.get()) == 1);
  UMBEL_CHECK(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
  while (const Owned<X509> next{PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)}) {
    SSL_CTX_add1_chain_cert(context.get(), next.get());
  }
  return context;
}

struct Connected {
  Descriptor sending, receiving;
};

// A listening socket of the loopback interface, and connections to it.
class Loopback {
 public:
  Loopback() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    auto* at = reinterpret_cast<sockaddr*>(&address_);
    UMBEL_CHECK(::bind(listener_.get(), at, size) == 0 && ::listen(listener_.get(), 16) == 0);
    UMBEL_CHECK(::getsockname(listener_.get(), at, &size) == 0);
  }
  Connected connect() {
    Connected both{Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), Descriptor()};
    const auto* at = reinterpret_cast<const sockaddr*>(&address_);
    UMBEL_CHECK(::connect(both.sending.get(), at, sizeof address_) == 0);
    both.receiving = Descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    UMBEL_CHECK(both.receiving.get() >= 0);
    const int yes = 1;
    for (const int descriptor : {both.sending.get(), both.receiving.get()}) {
      ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    return both;
  }

 private:
  Descriptor listener_;
  sockaddr_in address_{};
};

void discard(SSL_CTX* context, int descriptor, size_t bytes, std::latch& ready) {
  const Owned<SSL> ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), descriptor);
  UMBEL_CHECK(SSL_accept(ssl.get()) == 1);
  ready.arrive_and_wait();
  std::vector<char> piece(kPieceBytes);
  while (bytes != 0) {
    const int got = SSL_read(ssl.get(), piece.data(), static_cast<int>(piece.size()));
    UMBEL_CHECK(got > 0);
    bytes -= static_cast<size_t>(got);
  }
}

void send_all(SSL_CTX* context, int descriptor, size_t bytes, std::latch& ready) {
  const Owned<SSL> ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), descriptor);
  UMBEL_CHECK(SSL_connect(ssl.get()) == 1);
  const std::vector<char> piece(kPieceBytes, 'u');
  ready.arrive_and_wait();
  while (bytes != 0) {
    const size_t part = std::min(bytes, piece.size());
    UMBEL_CHECK(SSL_write(ssl.get(), piece.data(), static_cast<int>(part)) > 0);
    bytes -= part;
  }
}

// In memory, with no sockets.
void join(SSL* server, SSL* client) {
  BIO *one = nullptr, *other = nullptr;
  UMBEL_CHECK(BIO_new_bio_pair(&one, 32 << 10, &other, 32 << 10) == 1);
  SSL_set_bio(server, one, one);
  SSL_set_bio(client, other, other);
}

// Both ends' handshake, by turns, within one thread.
void shake_hands(SSL* server, SSL* client) {
  SSL_set_accept_state(server);
  SSL_set_connect_state(client);
  while (SSL_do_handshake(client) != 1 || SSL_do_handshake(server) != 1) SSL_do_handshake(server);
}

}  // namespace

double send_and_discard(const http::Identity& identity, size_t connections, size_t bytes) {
  const Owned<SSL_CTX> server = server_context(identity), client = context_of(TLS_client_method());
  Loopback loopback;
  std::vector<Connected> all;
  for (size_t i = 0; i != connections; ++i) all.push_back(loopback.connect());
  std::latch ready(static_cast<std::ptrdiff_t>(2 * connections + 1));
  std::vector<std::jthread> threads;
  for (const Connected& one : all) {
    threads.emplace_back([&] { discard(server.get(), one.receiving.get(), bytes, ready); });
    threads.emplace_back([&] { send_all(client.get(), one.sending.get(), bytes, ready); });
  }
  ready.arrive_and_wait();
  return time_of([&] { threads.clear(); });
}

double handshakes(const http::Identity& identity, size_t count) {
  const Owned<SSL_CTX> server = server_context(identity), client = context_of(TLS_client_method());
  const size_t threads = std::max(1u, std::thread::hardware_concurrency());
  return time_of([&] {
    std::vector<std::jthread> all;
    for (size_t t = 0; t != threads; ++t) {
      all.emplace_back([&, t] {
        for (size_t i = t; i < count; i += threads) {
          const Owned<SSL> mine(SSL_new(server.get())), theirs(SSL_new(client.get()));
          join(mine.get(), theirs.get());
          shake_hands(mine.get(), theirs.get());
        }
      });
    }
  });
}

double idle_bytes(const http::Identity& identity, size_t count) {
  const Owned<SSL_CTX> server = server_context(identity), client = context_of(TLS_client_method());
  std::vector<Owned<SSL>> servers, clients;
  const size_t before = mallinfo2().uordblks;
  for (size_t i = 0; i != count; ++i) {
    servers.emplace_back(SSL_new(server.get()));
    clients.emplace_back(SSL_new(client.get()));
    join(servers.back().get(), clients.back().get());
    shake_hands(servers.back().get(), clients.back().get());
    // The pair stands for a socket, which is the kernel's.
    SSL_set_bio(servers.back().get(), BIO_new(BIO_s_null()), BIO_new(BIO_s_null()));
    SSL_set_bio(clients.back().get(), BIO_new(BIO_s_null()), BIO_new(BIO_s_null()));
  }
  clients.clear();
  return static_cast<double>(mallinfo2().uordblks - before) / static_cast<double>(count);
}

}  // namespace umbel::bench
