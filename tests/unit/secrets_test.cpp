// What places keys and what makes ids: against OpenSSL, and what they keep to themselves.
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "core/fresh_secret.h"
#include "core/random.h"
#include "core/secret_random.h"
#include "core/siphash.h"

namespace sluice::core {
namespace {

TEST(SipHash, is_the_one_of_openssl_with_one_and_three_rounds) {
  Random random{3};
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  ASSERT_NE(mac, nullptr);
  for (size_t words = 0; words < 20; ++words) {
    const SipHash::Key key{random.next(), random.next()};
    SipHash ours{key};
    std::vector<uint64_t> message(words);
    for (uint64_t& word : message) {
      word = random.next();
      ours.add(word);
    }
    ours.add(uint64_t{words * 8} << 56);  // how its standard form ends whole words

    EVP_MAC_CTX* theirs = EVP_MAC_CTX_new(mac);
    size_t size = 16;
    unsigned compressing = 1, finishing = 3;
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
        OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &compressing),
        OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &finishing), OSSL_PARAM_construct_end()};
    std::array<uint64_t, 2> expected{};
    ASSERT_EQ(
        EVP_MAC_init(theirs, reinterpret_cast<const unsigned char*>(&key), sizeof key, parameters),
        1);
    ASSERT_EQ(
        EVP_MAC_update(theirs, reinterpret_cast<const unsigned char*>(message.data()), words * 8),
        1);
    ASSERT_EQ(EVP_MAC_final(theirs, reinterpret_cast<unsigned char*>(expected.data()), &size,
                            sizeof expected),
              1);
    EVP_MAC_CTX_free(theirs);
    EXPECT_EQ(ours.finish(), expected) << words;
  }
  EVP_MAC_free(mac);
}

TEST(SecretRandom, has_the_block_of_chacha) {
  const auto key = fresh_secret<SecretRandom::Key>();
  for (const uint32_t counter : {0U, 1U, 77U, UINT32_MAX}) {
    unsigned char start[16] = {};  // the counter, then no nonce
    std::memcpy(start, &counter, sizeof counter);
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    ASSERT_EQ(EVP_EncryptInit_ex(context, EVP_chacha20(), nullptr,
                                 reinterpret_cast<const unsigned char*>(key.data()), start),
              1);
    const SecretRandom::Block zeros{};
    SecretRandom::Block expected{};
    int size = 0;
    ASSERT_EQ(EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(expected.data()), &size,
                                reinterpret_cast<const unsigned char*>(zeros.data()), sizeof zeros),
              1);
    EVP_CIPHER_CTX_free(context);
    EXPECT_EQ(SecretRandom::block<20>(key, counter), expected);
  }
}

// Whoever reads its memory later learns nothing of what it gave before.
TEST(SecretRandom, forgets_its_key_and_what_it_gave) {
  const auto key = fresh_secret<SecretRandom::Key>();
  SecretRandom random{key};
  std::set<uint64_t> given;
  for (int i = 0; i < 1000; ++i) {
    given.insert(random.next());
    std::array<uint64_t, sizeof random / 8> memory;
    std::memcpy(memory.data(), static_cast<void*>(&random), sizeof memory);
    for (const uint64_t word : memory) ASSERT_FALSE(given.contains(word)) << i;
    ASSERT_EQ(std::search(memory.begin(), memory.end(), reinterpret_cast<const uint64_t*>(&key),
                          reinterpret_cast<const uint64_t*>(&key) + 4),
              memory.end());
  }
  EXPECT_EQ(given.size(), 1000U);
}

TEST(SecretRandom, is_its_key_and_nothing_else) {
  SecretRandom one{SecretRandom::Key{1}}, same{SecretRandom::Key{1}}, other{SecretRandom::Key{2}};
  for (int i = 0; i < 100; ++i) {
    const uint64_t drawn = one.next();
    EXPECT_EQ(drawn, same.next());
    EXPECT_NE(drawn, other.next());
  }
}

}  // namespace
}  // namespace sluice::core
