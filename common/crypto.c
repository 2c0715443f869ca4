#include "config.h"

#include "common/crypto.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nettle/base64.h>
#include <nettle/curve25519.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/sha2.h>

#include "common/err.h"

#define NONCE_LEN 12u

struct crypto_aead {
	gnutls_aead_cipher_hd_t handle;
};

void crypto_random(void *out, size_t len)
{
	if (gnutls_rnd(GNUTLS_RND_KEY, out, len) == 0)
		return;
	/* Not abort(): a core file would hold keys. */
	fputs("no random numbers to be had from the system\n", stderr);
	_exit(EXIT_FAILURE);
}

void crypto_wipe(void *p, size_t len)
{
	gnutls_memset(p, 0, len);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return gnutls_memcmp(a, b, len) == 0;
}

void crypto_x25519_public(uint8_t pub[32], const uint8_t secret[32])
{
	curve25519_mul_g(pub, secret);
}

int crypto_x25519(uint8_t shared[32], const uint8_t secret[32],
    const uint8_t pub[32])
{
	static const uint8_t zero[CRYPTO_KEY_LEN];

	curve25519_mul(shared, secret, pub);
	return crypto_equal(shared, zero, sizeof(zero)) ? ERR_CRYPTO : 0;
}

void crypto_sha256(uint8_t out[32], const void *a, size_t a_len,
    const void *b, size_t b_len)
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	if (a_len > 0)
		sha256_update(&ctx, a_len, a);
	if (b_len > 0)
		sha256_update(&ctx, b_len, b);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
	crypto_wipe(&ctx, sizeof(ctx));
}

/* Noise's HKDF is that of RFC 5869 with an empty info. */
void crypto_hkdf(const uint8_t chaining_key[32], const void *ikm,
    size_t ikm_len, uint8_t out1[32], uint8_t out2[32], uint8_t *out3)
{
	struct hmac_sha256_ctx ctx;
	uint8_t prk[SHA256_DIGEST_SIZE];
	uint8_t okm[3 * CRYPTO_KEY_LEN];
	size_t len = (out3 == NULL ? 2u : 3u) * CRYPTO_KEY_LEN;

	hmac_sha256_set_key(&ctx, CRYPTO_KEY_LEN, chaining_key);
	hkdf_extract(&ctx, (nettle_hash_update_func *)hmac_sha256_update,
	    (nettle_hash_digest_func *)hmac_sha256_digest, sizeof(prk),
	    ikm_len, ikm_len > 0 ? ikm : (const void *)"", prk);
	hmac_sha256_set_key(&ctx, sizeof(prk), prk);
	hkdf_expand(&ctx, (nettle_hash_update_func *)hmac_sha256_update,
	    (nettle_hash_digest_func *)hmac_sha256_digest, sizeof(prk),
	    0, (const uint8_t *)"", len, okm);
	memcpy(out1, okm, CRYPTO_KEY_LEN);
	memcpy(out2, okm + CRYPTO_KEY_LEN, CRYPTO_KEY_LEN);
	if (out3 != NULL)
		memcpy(out3, okm + 2 * CRYPTO_KEY_LEN, CRYPTO_KEY_LEN);
	crypto_wipe(&ctx, sizeof(ctx));
	crypto_wipe(prk, sizeof(prk));
	crypto_wipe(okm, sizeof(okm));
}

int crypto_aead_new(struct crypto_aead **out, const uint8_t key[32])
{
	struct crypto_aead *a;
	uint8_t copy[CRYPTO_KEY_LEN];	/* gnutls_datum_t knows no const */
	gnutls_datum_t datum = { copy, sizeof(copy) };
	int rc;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return ERR_NOMEM;
	memcpy(copy, key, sizeof(copy));
	rc = gnutls_aead_cipher_init(&a->handle, GNUTLS_CIPHER_AES_256_GCM,
	    &datum);
	crypto_wipe(copy, sizeof(copy));
	if (rc != 0) {
		free(a);
		return rc == GNUTLS_E_MEMORY_ERROR ? ERR_NOMEM : ERR_CRYPTO;
	}
	*out = a;
	return 0;
}

void crypto_aead_free(struct crypto_aead *a)
{
	uint8_t zero[CRYPTO_KEY_LEN] = { 0 };
	gnutls_datum_t datum = { zero, sizeof(zero) };

	if (a == NULL)
		return;
	/*
	 * Freeing a handle wipes the expanded key only where GnuTLS was built
	 * for FIPS. A different key in its place does so everywhere; should
	 * that fail there is nothing better to be done.
	 */
	(void)gnutls_aead_cipher_set_key(a->handle, &datum);
	gnutls_aead_cipher_deinit(a->handle);
	free(a);
}

static void put_nonce(uint8_t out[NONCE_LEN], uint64_t nonce)
{
	memset(out, 0, 4);
	for (size_t i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)(nonce >> (56 - 8 * i));
}

int crypto_aead_seal(struct crypto_aead *a, uint64_t nonce, const void *ad,
    size_t ad_len, const void *in, size_t len, uint8_t *out)
{
	uint8_t iv[NONCE_LEN];
	size_t out_len = len + CRYPTO_TAG_LEN;

	put_nonce(iv, nonce);
	if (gnutls_aead_cipher_encrypt(a->handle, iv, sizeof(iv), ad, ad_len,
	    CRYPTO_TAG_LEN, in, len, out, &out_len) != 0)
		return ERR_CRYPTO;
	assert(out_len == len + CRYPTO_TAG_LEN);
	return 0;
}

int crypto_aead_open(struct crypto_aead *a, uint64_t nonce, const void *ad,
    size_t ad_len, const void *in, size_t len, uint8_t *out)
{
	uint8_t iv[NONCE_LEN];
	size_t out_len;

	if (len < CRYPTO_TAG_LEN)
		return ERR_CRYPTO;
	out_len = len - CRYPTO_TAG_LEN;
	put_nonce(iv, nonce);
	if (gnutls_aead_cipher_decrypt(a->handle, iv, sizeof(iv), ad, ad_len,
	    CRYPTO_TAG_LEN, in, len, out, &out_len) != 0)
		return ERR_CRYPTO;
	return 0;
}

void crypto_base64_encode(char *out, const uint8_t *in, size_t len)
{
	base64_encode_raw(out, len, in);
	out[CRYPTO_BASE64_LEN(len)] = '\0';
}

void crypto_base64url_encode(char *out, const uint8_t *in, size_t len)
{
	struct base64_encode_ctx ctx;
	char tail[BASE64_ENCODE_FINAL_LENGTH];
	size_t n;

	base64url_encode_init(&ctx);
	n = base64_encode_update(&ctx, out, len, in);
	/* What is left over, up to three characters, without the padding. */
	(void)base64_encode_final(&ctx, tail);
	memcpy(out + n, tail, CRYPTO_BASE64URL_LEN(len) - n);
	out[CRYPTO_BASE64URL_LEN(len)] = '\0';
	crypto_wipe(&ctx, sizeof(ctx));
	crypto_wipe(tail, sizeof(tail));
}

/*
 * Decode text, padded to the whole groups that out_len bytes make. Nettle
 * refuses surplus bits but skips blanks, and takes padding wherever it comes
 * out even; as len leaves no room for more than the bytes wanted, a text with
 * either yields too few.
 */
static int decode(struct base64_decode_ctx *ctx, uint8_t *out, size_t out_len,
    const char *text, size_t len)
{
	uint8_t raw[BASE64_DECODE_LENGTH(CRYPTO_BASE64_LEN(CRYPTO_BASE64_MAX))];
	size_t n = sizeof(raw);
	int rc = ERR_PROTO;

	if (base64_decode_update(ctx, &n, raw, len, text) == 1 &&
	    base64_decode_final(ctx) == 1 && n == out_len) {
		memcpy(out, raw, out_len);
		rc = 0;
	}
	crypto_wipe(raw, sizeof(raw));
	crypto_wipe(ctx, sizeof(*ctx));
	return rc;
}

int crypto_base64_decode(uint8_t *out, size_t out_len, const char *text,
    size_t len)
{
	struct base64_decode_ctx ctx;

	assert(out_len <= CRYPTO_BASE64_MAX);
	if (len != CRYPTO_BASE64_LEN(out_len))
		return ERR_PROTO;
	base64_decode_init(&ctx);
	return decode(&ctx, out, out_len, text, len);
}

int crypto_base64url_decode(uint8_t *out, size_t out_len, const char *text,
    size_t len)
{
	struct base64_decode_ctx ctx;
	char padded[CRYPTO_BASE64_LEN(CRYPTO_BASE64_MAX)];
	int rc;

	assert(out_len <= CRYPTO_BASE64_MAX);
	if (len != CRYPTO_BASE64URL_LEN(out_len))
		return ERR_PROTO;
	memset(padded, '=', sizeof(padded));
	memcpy(padded, text, len);
	base64url_decode_init(&ctx);
	rc = decode(&ctx, out, out_len, padded, CRYPTO_BASE64_LEN(out_len));
	crypto_wipe(padded, sizeof(padded));
	return rc;
}
