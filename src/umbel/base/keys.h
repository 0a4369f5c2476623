#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "umbel/base/status.h"

namespace umbel {

// Ed25519 (RFC 8032): who somebody is.  Nodes, users and publishers of apps have a key each.

using Signature = std::array<std::byte, 64>;

// The public half.  As text: "ed25519:" and 64 hexadecimal digits.
class PublicKey {
 public:
  PublicKey() = default;
  // INVALID_ARGUMENT unless the text is as above (letters in lower case), or 32 bytes.
  static Result<PublicKey> parse(std::string_view text);
  static Result<PublicKey> from_bytes(std::span<const std::byte> bytes);

  std::string text() const;
  std::span<const std::byte, 32> bytes() const { return bytes_; }
  // Whether this key's owner signed the message.  False as well for what is no signature or key.
  bool verifies(std::span<const std::byte> message, std::span<const std::byte> signature) const;

  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;

 private:
  std::array<std::byte, 32> bytes_{};
};

// The private half.  Wiped from memory at its end; never printed.
class PrivateKey {
 public:
  static PrivateKey generate();
  // A file of PEM (PKCS #8), as `openssl genpkey -algorithm ed25519` writes it.  Reading refuses a
  // file that others than its owner may read, and any other kind of key.
  static Result<PrivateKey> read(const std::filesystem::path& path);
  // With mode 0600.  ALREADY_EXISTS rather than to write over a file.
  Status write(const std::filesystem::path& path) const;
  // Reads the key, or makes one there if there is no file (with the folders above it).
  static Result<PrivateKey> read_or_make(const std::filesystem::path& path);

  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  const PublicKey& public_key() const { return public_; }
  Signature sign(std::span<const std::byte> message) const;

 private:
  PrivateKey() = default;
  std::array<std::byte, 32> seed_{};
  PublicKey public_;
};

// Random bytes for nonces and tokens, from the system.
void random_bytes(std::span<std::byte> out);
std::string random_hex(size_t bytes);
// Takes the same time wherever two texts of one length differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace umbel
