#include <openssl/x509.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>

#include "umbel/base/files.h"
#include "umbel/http/certificates.h"
#include "umbel/http/server_fixture_test.h"
#include "umbel/http/verification.h"

namespace umbel::http {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A server's identity made here, with any dates and names.
struct Made {
  Date now = std::chrono::system_clock::now();
  Date authority_from = now - hours(1), authority_until = now + hours(1);
  Date from = now - hours(1), until = now + hours(1);
  std::vector<std::string> names = {"127.0.0.1"};
  Key authority_key = make_key(), key = make_key();

  Identity identity() const {
    const Certificate authority =
        make_authority(authority_key.get(), authority_from, authority_until);
    const Certificate server =
        *make_certificate(key.get(), names, authority.get(), authority_key.get(), from, until);
    return {to_pem(server.get()) + to_pem(authority.get()), to_pem(key.get()),
            hex_of(certificate_hash(authority.get()))};
  }
};

Status contact(const Identity& identity, Trust trust, const std::string& host = "127.0.0.1") {
  TestHandler handler;
  ServerOptions options;
  options.address = "127.0.0.1";
  options.port = 0;
  options.identity = identity;
  const auto server = *Server::start(options, handler);
  Client client(Endpoint{host, server->port(), std::move(trust)});
  return client.request("GET", "/").status();
}
Trust trust_in(const std::string& hash) { return Trust{hash, {}, false}; }

TEST(TrustTest, TheAuthoritysHashIsEnough) {
  const Identity identity = Made().identity();
  EXPECT_TRUE(contact(identity, trust_in(identity.authority_sha256)).ok());
  EXPECT_TRUE(contact(identity, trust_in("sha256:" + identity.authority_sha256)).ok());
}

TEST(TrustTest, AnotherAuthorityIsNamedWithTheExpectedOne) {
  const Identity identity = Made().identity();
  const std::string other = Made().identity().authority_sha256;
  const Status status = contact(identity, trust_in("sha256:" + other));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(message_of(status),
              HasSubstr("the server's authority is sha256:" + identity.authority_sha256 +
                        ", expected sha256:" + other));
  EXPECT_THAT(message_of(status), HasSubstr("127.0.0.1:"));
  EXPECT_EQ(contact(identity, trust_in("")).code(), absl::StatusCode::kUnauthenticated)
      << "the system's authorities do not know it";
  EXPECT_EQ(contact(identity, trust_in("sha256:")).code(), absl::StatusCode::kUnauthenticated);
}

TEST(TrustTest, AnAuthorityThatDidNotSignTheServerIsNotBelieved) {
  const Identity mine = Made().identity(), other = Made().identity();
  Identity mixed = mine;
  const auto split = mixed.certificate_pem.find("-----BEGIN", 1);
  mixed.certificate_pem = mixed.certificate_pem.substr(0, split) +
                          other.certificate_pem.substr(other.certificate_pem.find("-----BEGIN", 1));
  const Status status = contact(mixed, trust_in(other.authority_sha256));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
}

TEST(TrustTest, ExpiredAndFutureCertificatesAreRefusedWithDatesAndThisClock) {
  Made expired;
  expired.until = expired.now - std::chrono::minutes(1);
  const Identity identity = expired.identity();
  Status status = contact(identity, trust_in(identity.authority_sha256));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(message_of(status), HasSubstr("the server's certificate expired on 20"));
  EXPECT_THAT(message_of(status), HasSubstr("this machine's clock says 20"));

  Made future;
  future.from = future.now + std::chrono::minutes(1);
  const Identity early = future.identity();
  status = contact(early, trust_in(early.authority_sha256));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(message_of(status), HasSubstr("the server's certificate is not valid before 20"));

  Made old;
  old.authority_until = old.now - std::chrono::minutes(1);
  const Identity outlived = old.identity();
  status = contact(outlived, trust_in(outlived.authority_sha256));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(message_of(status), HasSubstr("the authority's certificate expired on 20"));
}

TEST(TrustTest, AnotherNameIsRefusedWithTheNamesItIsFor) {
  Made made;
  made.names = {"hub.example.org", "10.0.0.1"};
  const Identity identity = made.identity();
  const Status status = contact(identity, trust_in(identity.authority_sha256));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(message_of(status), HasSubstr("is for hub.example.org, 10.0.0.1, not for 127.0.0.1"));
  Made local;
  local.names = {"localhost"};
  const Identity by_name = local.identity();
  EXPECT_TRUE(contact(by_name, trust_in(by_name.authority_sha256), "localhost").ok());
  EXPECT_FALSE(contact(by_name, trust_in(by_name.authority_sha256)).ok());
}

TEST(TrustTest, AFileOfAuthoritiesIsTrusted) {
  const TemporaryFolder folder;
  const Identity identity = Made().identity();
  const auto path = folder.path / "authorities.pem";
  ASSERT_TRUE(write_file_atomic(path, identity.certificate_pem.substr(
                                          identity.certificate_pem.find("-----BEGIN", 1)))
                  .ok());
  EXPECT_TRUE(contact(identity, Trust{"", path, false}).ok());
  EXPECT_EQ(contact(Made().identity(), Trust{"", path, false}).code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(contact(identity, Trust{"", folder.path / "none", false}).code(),
            absl::StatusCode::kUnauthenticated);
}

TEST(TrustTest, PlainAndTlsDoNotMeet) {
  TestServer tls(true), plain(false);
  Endpoint to_tls = tls.endpoint(), to_plain = plain.endpoint();
  std::swap(to_tls.port, to_plain.port);  // each with the other's way of speaking
  Status status = Client(to_tls).request("GET", "/").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(message_of(status), HasSubstr("does not speak TLS"));
  status = Client(to_plain).request("GET", "/").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST(IdentityTest, IsMadeOnceAndReadAgain) {
  const TemporaryFolder folder;
  const auto path = folder.path / "deep" / "tls";
  const auto first = make_or_read_identity(path, {"hub", "127.0.0.1", "::1"});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = make_or_read_identity(path, {"::1", "hub"});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->certificate_pem, second->certificate_pem);
  EXPECT_EQ(first->key_pem, second->key_pem);
  EXPECT_EQ(first->authority_sha256.size(), 64u);
  for (const char* name : {"server.key", "authority.key"}) {
    struct stat facts {};
    ASSERT_EQ(::stat((path / name).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u) << name;
  }
  const auto chain = *certificates_of(first->certificate_pem);
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(names_of(chain[0].get()), (std::vector<std::string>{"hub", "127.0.0.1", "::1"}));
  EXPECT_EQ(hex_of(certificate_hash(chain[1].get())), first->authority_sha256);
  const Date now = std::chrono::system_clock::now();
  EXPECT_TRUE(valid_at(chain[0].get(), now + hours(24 * 364)));
  EXPECT_FALSE(valid_at(chain[0].get(), now + hours(24 * 366)));
  EXPECT_TRUE(valid_at(chain[1].get(), now + hours(24 * 3649)));
}

TEST(IdentityTest, AnotherNameOrALateDateMakesANewCertificateOfTheSameAuthority) {
  const TemporaryFolder folder;
  const auto first = *make_or_read_identity(folder.path, {"hub"});
  const auto named = *make_or_read_identity(folder.path, {"hub", "hub2"});
  EXPECT_NE(named.certificate_pem, first.certificate_pem);
  EXPECT_EQ(named.authority_sha256, first.authority_sha256);
  const Key authority_key = *key_of(*read_file(folder.path / "authority.key", 1 << 20));
  const auto authority = *certificates_of(*read_file(folder.path / "authority.pem", 1 << 20));
  const Key key = *key_of(*read_file(folder.path / "server.key", 1 << 20));
  const Date now = std::chrono::system_clock::now();
  const auto renewed_for = [&](int days) {
    const Certificate made =
        *make_certificate(key.get(), {"hub"}, authority[0].get(), authority_key.get(),
                          now - hours(1), now + hours(24 * days));
    EXPECT_TRUE(write_file_atomic(folder.path / "server.pem", to_pem(made.get())).ok());
    return make_or_read_identity(folder.path, {"hub"})->certificate_pem.find(to_pem(made.get())) ==
           std::string::npos;
  };
  EXPECT_FALSE(renewed_for(31));
  EXPECT_TRUE(renewed_for(29));
  EXPECT_TRUE(renewed_for(0));
  EXPECT_TRUE(write_file_atomic(folder.path / "server.pem", "cut").ok());
  EXPECT_TRUE(make_or_read_identity(folder.path, {"hub"}).ok());
}

TEST(IdentityTest, SomeoneElsesCertificateIsOnlyRead) {
  const TemporaryFolder folder;
  Made made;
  made.names = {"hub"};
  const auto put = [&](const Identity& identity) {
    const size_t split = identity.certificate_pem.find("-----BEGIN", 1);
    EXPECT_TRUE(
        write_file_atomic(folder.path / "server.pem", identity.certificate_pem.substr(0, split))
            .ok());
    EXPECT_TRUE(
        write_file_atomic(folder.path / "authority.pem", identity.certificate_pem.substr(split))
            .ok());
    EXPECT_TRUE(write_file_atomic(folder.path / "server.key", identity.key_pem).ok());
  };
  const Identity theirs = made.identity();
  put(theirs);
  const auto read = make_or_read_identity(folder.path, {"another name"});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->certificate_pem, theirs.certificate_pem);
  EXPECT_EQ(read->authority_sha256, theirs.authority_sha256);
  made.until = made.now - hours(1);
  put(made.identity());
  const Status expired = make_or_read_identity(folder.path, {"hub"}).status();
  EXPECT_EQ(expired.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(message_of(expired), HasSubstr((folder.path / "server.pem").string()));
  EXPECT_THAT(message_of(expired), HasSubstr("it ends on 20"));
  EXPECT_TRUE(write_file_atomic(folder.path / "server.key", to_pem(make_key().get())).ok());
  fs::remove(folder.path / "authority.pem");
  EXPECT_EQ(make_or_read_identity(folder.path, {"hub"}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(fs::exists(folder.path / "authority.key"));
}

TEST(IdentityTest, NamesThatAreNoneAreRefused) {
  const TemporaryFolder folder;
  for (const std::string& name : {std::string("a b"), std::string(""), std::string("a,DNS:b"),
                                  std::string(300, 'a'), std::string("x\n")}) {
    EXPECT_EQ(make_or_read_identity(folder.path, {name}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
}

}  // namespace
}  // namespace umbel::http
