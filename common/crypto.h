/*
 * The few primitives that Noise_IK_25519_AESGCM_SHA256 and the records need,
 * from GnuTLS and nettle; no other file includes those libraries' headers.
 */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_KEY_LEN 32u	/* AES-256 key, X25519 key, SHA-256 digest */
#define CRYPTO_TAG_LEN 16u

/* Fill out with random bytes fit for keys. Ends the process if it cannot. */
void crypto_random(void *out, size_t len);

/* Overwrite a secret in a way the compiler keeps. */
void crypto_wipe(void *p, size_t len);

/* Constant-time comparison. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* X25519 (RFC 7748). derive_public: the public key of a secret key. */
void crypto_x25519_public(uint8_t pub[32], const uint8_t secret[32]);

/* 0, or ERR_CRYPTO when the result is all zero (a point of small order). */
int crypto_x25519(uint8_t shared[32], const uint8_t secret[32],
    const uint8_t pub[32]);

/* SHA-256 over up to two parts; b may be NULL with b_len 0. */
void crypto_sha256(uint8_t out[32], const void *a, size_t a_len,
    const void *b, size_t b_len);

/*
 * Noise's HKDF (revision 34, section 4.3) with two or three outputs; out3 may
 * be NULL.
 */
void crypto_hkdf(const uint8_t chaining_key[32], const void *ikm,
    size_t ikm_len, uint8_t out1[32], uint8_t out2[32], uint8_t *out3);

/*
 * AES-256-GCM with Noise's nonce: 32 zero bits, then the 64-bit number
 * big-endian (revision 34, section 12.4). The context holds an expanded key.
 */
struct crypto_aead;
int crypto_aead_new(struct crypto_aead **out, const uint8_t key[32]);
void crypto_aead_free(struct crypto_aead *a);	/* wipes the key */

/* out has room for len + CRYPTO_TAG_LEN; in and out do not overlap. */
int crypto_aead_seal(struct crypto_aead *a, uint64_t nonce, const void *ad,
    size_t ad_len, const void *in, size_t len, uint8_t *out);

/*
 * len includes the tag; out has room for len - CRYPTO_TAG_LEN.
 * 0 or ERR_CRYPTO (out's content is then undefined).
 */
int crypto_aead_open(struct crypto_aead *a, uint64_t nonce, const void *ad,
    size_t ad_len, const void *in, size_t len, uint8_t *out);

/*
 * Base64 (RFC 4648): the standard alphabet with padding, and the URL alphabet
 * without. encode writes CRYPTO_BASE64[URL]_LEN(len) characters and a NUL.
 * decode wants exactly out_len bytes, at most CRYPTO_BASE64_MAX, in their one
 * canonical spelling: 0, or ERR_PROTO with out untouched.
 */
#define CRYPTO_BASE64_MAX 192u
#define CRYPTO_BASE64_LEN(len) (((len) + 2u) / 3u * 4u)
#define CRYPTO_BASE64URL_LEN(len) (((len) * 4u + 2u) / 3u)
void crypto_base64_encode(char *out, const uint8_t *in, size_t len);
int crypto_base64_decode(uint8_t *out, size_t out_len, const char *text,
    size_t len);
void crypto_base64url_encode(char *out, const uint8_t *in, size_t len);
int crypto_base64url_decode(uint8_t *out, size_t out_len, const char *text,
    size_t len);

#endif
