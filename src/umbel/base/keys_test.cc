#include "umbel/base/keys.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "umbel/base/files.h"

namespace umbel {
namespace {

namespace fs = std::filesystem;

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}
std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::string text_of(const Signature& signature) {
  return std::string(reinterpret_cast<const char*>(signature.data()), signature.size());
}

std::string base64(const std::string& bytes) {
  const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](size_t j) {
      return i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u;
    };
    const unsigned word = at(0) << 16 | at(1) << 8 | at(2);
    for (size_t j = 0; j != 4; ++j) {
      text += i + j > bytes.size() ? '=' : digits[word >> (18 - 6 * j) & 63];
    }
  }
  return text;
}
// PKCS #8 of an Ed25519 seed (RFC 8410, section 7).
std::string pem_of(const std::string& seed) {
  return "-----BEGIN PRIVATE KEY-----\n" +
         base64(from_hex("302e020100300506032b657004220420") + seed) +
         "\n-----END PRIVATE KEY-----\n";
}

class KeysTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "keys-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path put(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const fs::path path = folder_ / name;
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  fs::path folder_;
};

// RFC 8032, section 7.1: TEST 1, TEST 2, TEST 3, TEST SHA(abc).
struct Vector {
  const char *seed, *key, *message, *signature;
};
constexpr Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0"
     "303dca179c138ac17ad9bef1177331a704"}};

TEST_F(KeysTest, KeysAndSignaturesAreThoseOfRfc8032) {
  int number = 0;
  for (const Vector& vector : kVectors) {
    const auto key = PrivateKey::read(put(std::to_string(++number), pem_of(from_hex(vector.seed))));
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->public_key().text(), std::string("ed25519:") + vector.key);
    const std::string message = from_hex(vector.message);
    EXPECT_EQ(text_of(key->sign(bytes_of(message))), from_hex(vector.signature));
    const auto parsed = PublicKey::parse(std::string("ed25519:") + vector.key);
    ASSERT_TRUE(parsed.ok());
    EXPECT_TRUE(parsed->verifies(bytes_of(message), bytes_of(from_hex(vector.signature))));
  }
}

RC_GTEST_PROP(Keys, AnyChangedBitOfMessageOrSignatureFails, (std::string message)) {
  const PrivateKey key = PrivateKey::generate();
  const Signature signature = key.sign(bytes_of(message));
  RC_ASSERT(key.public_key().verifies(bytes_of(message), signature));
  Signature other = signature;
  other[*rc::gen::inRange<size_t>(0, 64)] ^= std::byte{1} << *rc::gen::inRange(0, 8);
  RC_ASSERT(!key.public_key().verifies(bytes_of(message), other));
  std::string changed = message + "x";
  changed[*rc::gen::inRange<size_t>(0, changed.size())] ^= 4;
  RC_ASSERT(!key.public_key().verifies(bytes_of(changed), signature));
  RC_ASSERT(!PrivateKey::generate().public_key().verifies(bytes_of(message), signature));
}

TEST_F(KeysTest, SignaturesOfOtherLengthsVerifyNothing) {
  const PrivateKey key = PrivateKey::generate();
  const std::string message = "m";
  const std::string signature = text_of(key.sign(bytes_of(message)));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{63}, size_t{65}, size_t{4096}}) {
    std::string other = signature;
    other.resize(size);
    EXPECT_FALSE(key.public_key().verifies(bytes_of(message), bytes_of(other))) << size;
  }
}

// Under a point of small order A with k A = 0, R = S B verifies for whatever message gives such a
// k = H(R, A, M): S = 0 and R the neutral point do for one message in eight, or for all.
TEST_F(KeysTest, NobodyCanSignForAKeyOfSmallOrder) {
  const std::string neutral = from_hex("01" + std::string(62, '0'));
  const std::string forged = neutral + std::string(32, '\0');
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000080",
                            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}) {
    const auto key = PublicKey::parse(std::string("ed25519:") + point);
    ASSERT_TRUE(key.ok());
    for (int i = 0; i != 64; ++i) {
      const std::string message = std::to_string(i);
      EXPECT_FALSE(key->verifies(bytes_of(message), bytes_of(forged))) << point;
    }
  }
}

TEST_F(KeysTest, TextOfAKeyIsStrict) {
  const std::string good = PrivateKey::generate().public_key().text();
  EXPECT_EQ(PublicKey::parse(good)->text(), good);
  const std::string upper = "ed25519:" + std::string(64, 'A');
  std::string letter = good, newline = good;
  letter.back() = 'g';
  newline.back() = '\n';
  for (const std::string& bad : {std::string(), std::string("ed25519:"), good + "0", good + "\n",
                                 good.substr(0, good.size() - 1), good.substr(8), " " + good,
                                 "ED25519:" + good.substr(8), upper, letter, newline}) {
    EXPECT_EQ(PublicKey::parse(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  const std::string short_bytes(31, 'x'), long_bytes(33, 'x');
  EXPECT_FALSE(PublicKey::from_bytes(bytes_of(short_bytes)).ok());
  EXPECT_FALSE(PublicKey::from_bytes(bytes_of(long_bytes)).ok());
}

TEST_F(KeysTest, AWrittenKeyReadsBackAndIsItsOwnersAlone) {
  const PrivateKey key = PrivateKey::generate();
  const fs::path path = folder_ / "a.key";
  ASSERT_TRUE(key.write(path).ok());
  struct stat found {};
  ASSERT_EQ(::stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
  const auto again = PrivateKey::read(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->public_key(), key.public_key());
  const std::string before = *read_file(path, 4096);
  EXPECT_EQ(PrivateKey::generate().write(path).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*read_file(path, 4096), before);
}

TEST_F(KeysTest, AKeyThatOthersMayReadIsRefused) {
  const std::string pem = pem_of(from_hex(kVectors[0].seed));
  EXPECT_TRUE(PrivateKey::read(put("400", pem, 0400)).ok());
  for (const mode_t mode : {0640, 0604, 0660, 0644, 0601}) {
    EXPECT_EQ(PrivateKey::read(put(std::to_string(mode), pem, mode)).status().code(),
              absl::StatusCode::kPermissionDenied)
        << std::oct << mode;
  }
}

TEST_F(KeysTest, WhatIsNoEd25519KeyIsRefused) {
  const std::string x25519 =
      "-----BEGIN PRIVATE KEY-----\n" +
      base64(from_hex("302e020100300506032b656e04220420") + from_hex(kVectors[0].seed)) +
      "\n-----END PRIVATE KEY-----\n";
  for (const std::string& text :
       {std::string(), std::string("hello"), x25519, pem_of("short"), std::string(5000, 'x'),
        pem_of(from_hex(kVectors[0].seed)).substr(0, 60)}) {
    EXPECT_EQ(PrivateKey::read(put("bad", text)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(PrivateKey::read(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(PrivateKey::read(folder_).ok());
}

TEST_F(KeysTest, ReadOrMakeMakesOneKeyAndKeepsIt) {
  const fs::path path = folder_ / "some" / "where" / "user.key";
  const auto made = PrivateKey::read_or_make(path);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(PrivateKey::read_or_make(path)->public_key(), made->public_key());
}

TEST_F(KeysTest, RandomTextsDifferAndSecretsCompareAsText) {
  std::set<std::string> seen;
  for (int i = 0; i != 100; ++i) seen.insert(random_hex(16));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(seen.begin()->size(), 32u);
  EXPECT_TRUE(equal_secrets("abc", "abc"));
  EXPECT_TRUE(equal_secrets("", ""));
  EXPECT_FALSE(equal_secrets("abc", "abd"));
  EXPECT_FALSE(equal_secrets("abc", "ab"));
}

}  // namespace
}  // namespace umbel
