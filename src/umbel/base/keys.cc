#include "umbel/base/keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "umbel/base/check.h"

namespace umbel {

namespace {

constexpr std::string_view kPrefix = "ed25519:";
constexpr size_t kPemBytesMax = 4096;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeKey>;
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using ContextPointer = std::unique_ptr<EVP_MD_CTX, FreeContext>;
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPointer = std::unique_ptr<BIO, FreeBio>;

const unsigned char* octets(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* octets(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += "0123456789abcdef"[std::to_integer<int>(byte) >> 4];
    text += "0123456789abcdef"[std::to_integer<int>(byte) & 15];
  }
  return text;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The points whose order divides eight, by their y, little endian: under such a "key" everybody can
// sign.  All zeros, which a PublicKey is before it is given a value, is one of them.
constexpr const char* kSmallOrder[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};

bool has_small_order(std::span<const std::byte, 32> bytes) {
  std::array<std::byte, 32> y;
  std::copy(bytes.begin(), bytes.end(), y.begin());
  y[31] &= std::byte{0x7f};  // the sign of x
  const std::string text = hex_of(y);
  return std::any_of(std::begin(kSmallOrder), std::end(kSmallOrder),
                     [&](const char* point) { return text == point; });
}

KeyPointer key_of(std::span<const std::byte, 32> seed) {
  KeyPointer key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octets(seed.data()), seed.size()));
  UMBEL_CHECK(key != nullptr);
  return key;
}

PublicKey public_half(const EVP_PKEY* key) {
  std::array<std::byte, 32> bytes{};
  size_t size = bytes.size();
  UMBEL_CHECK(EVP_PKEY_get_raw_public_key(key, octets(bytes.data()), &size) == 1 &&
              size == bytes.size());
  return PublicKey::from_bytes(bytes).value();
}

// The text of a private key's file; wiped when it goes.
struct Secret {
  std::array<char, kPemBytesMax> text{};
  size_t size = 0;
  Secret() = default;
  Secret(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
};

Status read_secret(const std::filesystem::path& path, Secret& secret) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return not_found("{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat found {};
  const bool known = ::fstat(descriptor, &found) == 0;
  ssize_t got = 0;
  while (secret.size < secret.text.size() &&
         (got = ::read(descriptor, secret.text.data() + secret.size,
                       secret.text.size() - secret.size)) > 0) {
    secret.size += static_cast<size_t>(got);
  }
  ::close(descriptor);
  if (!known || !S_ISREG(found.st_mode) || got < 0) {
    return invalid_argument("{}: expected a file with a private key (PEM)", path.string());
  }
  if ((found.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        fmt::format("{}: a private key that others than its owner may read (mode {:04o}); "
                    "expected mode 0600",
                    path.string(), found.st_mode & 07777));
  }
  if (secret.size == secret.text.size()) {
    return invalid_argument("{}: longer than any private key", path.string());
  }
  return absl::OkStatus();
}

Status write_secret(const std::filesystem::path& path, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0 && errno == EEXIST) {
    return absl::AlreadyExistsError(
        fmt::format("{}: is there already; a key is not written over", path.string()));
  }
  if (descriptor < 0) {
    return unavailable("{}: cannot create: {}", path.string(), std::strerror(errno));
  }
  size_t wrote = 0;
  while (wrote < text.size()) {
    const ssize_t put = ::write(descriptor, text.data() + wrote, text.size() - wrote);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) break;
    wrote += static_cast<size_t>(put);
  }
  const bool synced = wrote == text.size() && ::fsync(descriptor) == 0;
  const std::string why = std::strerror(errno);
  ::close(descriptor);
  if (synced) return absl::OkStatus();
  ::unlink(path.c_str());
  return resource_exhausted("{}: cannot write: {}; nothing was kept", path.string(), why);
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view text) {
  const auto wrong = [&] {
    return invalid_argument(
        "a public key of {} bytes: expected \"{}\" and 64 hexadecimal digits in lower case",
        text.size(), kPrefix);
  };
  if (text.size() != kPrefix.size() + 64 || text.substr(0, kPrefix.size()) != kPrefix) {
    return wrong();
  }
  PublicKey key;
  for (size_t i = 0; i != key.bytes_.size(); ++i) {
    const int high = digit_of(text[kPrefix.size() + 2 * i]);
    const int low = digit_of(text[kPrefix.size() + 2 * i + 1]);
    if (high < 0 || low < 0) return wrong();
    key.bytes_[i] = static_cast<std::byte>(high << 4 | low);
  }
  return key;
}

Result<PublicKey> PublicKey::from_bytes(std::span<const std::byte> bytes) {
  PublicKey key;
  if (bytes.size() != key.bytes_.size()) {
    return invalid_argument("a public key of {} bytes, expected 32", bytes.size());
  }
  std::copy(bytes.begin(), bytes.end(), key.bytes_.begin());
  return key;
}

std::string PublicKey::text() const { return std::string(kPrefix) + hex_of(bytes_); }

bool PublicKey::verifies(std::span<const std::byte> message,
                         std::span<const std::byte> signature) const {
  if (signature.size() != std::tuple_size_v<Signature> || has_small_order(bytes())) return false;
  const KeyPointer key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(bytes_.data()), bytes_.size()));
  const ContextPointer context(EVP_MD_CTX_new());
  return key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), octets(signature.data()), signature.size(),
                          octets(message.data()), message.size()) == 1;
}

PrivateKey PrivateKey::generate() {
  PrivateKey key;
  random_bytes(key.seed_);
  key.public_ = public_half(key_of(key.seed_).get());
  return key;
}

Result<PrivateKey> PrivateKey::read(const std::filesystem::path& path) {
  Secret secret;
  UMBEL_RETURN_IF_ERROR(read_secret(path, secret));
  const BioPointer bio(BIO_new_mem_buf(secret.text.data(), static_cast<int>(secret.size)));
  UMBEL_CHECK(bio != nullptr);
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const KeyPointer found(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  PrivateKey key;
  size_t size = key.seed_.size();
  if (!found || EVP_PKEY_id(found.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_private_key(found.get(), octets(key.seed_.data()), &size) != 1) {
    return invalid_argument(
        "{}: expected an Ed25519 private key (PEM, without a password), as "
        "`openssl genpkey -algorithm ed25519` writes it",
        path.string());
  }
  key.public_ = public_half(found.get());
  return key;
}

Status PrivateKey::write(const std::filesystem::path& path) const {
  const KeyPointer key = key_of(seed_);
  const BioPointer bio(BIO_new(BIO_s_secmem()));
  UMBEL_CHECK(bio != nullptr && PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr,
                                                              nullptr, 0, nullptr, nullptr) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  const Status status = write_secret(path, std::string_view(text, static_cast<size_t>(size)));
  OPENSSL_cleanse(text, static_cast<size_t>(size));
  return status;
}

Result<PrivateKey> PrivateKey::read_or_make(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    PrivateKey key = generate();
    const Status status = key.write(path);
    if (status.ok()) return key;
    if (status.code() != absl::StatusCode::kAlreadyExists) return status;
  }
  return read(path);  // there it was, or another program was quicker
}

PrivateKey::PrivateKey(PrivateKey&& other) noexcept : seed_(other.seed_), public_(other.public_) {
  OPENSSL_cleanse(other.seed_.data(), other.seed_.size());
}

PrivateKey& PrivateKey::operator=(PrivateKey&& other) noexcept {
  std::swap(seed_, other.seed_);
  std::swap(public_, other.public_);
  return *this;
}

PrivateKey::~PrivateKey() { OPENSSL_cleanse(seed_.data(), seed_.size()); }

Signature PrivateKey::sign(std::span<const std::byte> message) const {
  const KeyPointer key = key_of(seed_);
  const ContextPointer context(EVP_MD_CTX_new());
  Signature signature;
  size_t size = signature.size();
  UMBEL_CHECK(context &&
              EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
              EVP_DigestSign(context.get(), octets(signature.data()), &size, octets(message.data()),
                             message.size()) == 1 &&
              size == signature.size());
  return signature;
}

void random_bytes(std::span<std::byte> out) {
  UMBEL_CHECK(RAND_bytes(octets(out.data()), static_cast<int>(out.size())) == 1);
}

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0');
  const auto octets_of_it = std::as_writable_bytes(std::span(raw));
  random_bytes(octets_of_it);
  return hex_of(octets_of_it);
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace umbel
