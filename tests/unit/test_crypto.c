#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/err.h"
#include "tests/unit/unit.h"

/* Compare bytes with what a specification prints. */
static void check_hex(const uint8_t *data, size_t len, const char *hex)
{
	char text[256];

	CU_ASSERT_FATAL(2 * len < sizeof(text));
	text[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	CU_ASSERT_STRING_EQUAL(text, hex);
}

static void count_up(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)i;
}

static void test_random_bytes_differ_each_time(void)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	CU_ASSERT(!crypto_equal(a, b, sizeof(a)));
}

static void test_wipe_leaves_only_zeros(void)
{
	uint8_t secret[40], zero[40] = { 0 };

	memset(secret, 0x5a, sizeof(secret));
	crypto_wipe(secret, sizeof(secret));
	CU_ASSERT_EQUAL(memcmp(secret, zero, sizeof(zero)), 0);
}

static void test_equal_sees_a_difference_in_any_bit(void)
{
	uint8_t a[16] = { 0 }, b[16] = { 0 };

	CU_ASSERT(crypto_equal(a, b, sizeof(a)));
	for (size_t bit = 0; bit < 8 * sizeof(b); bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT(!crypto_equal(a, b, sizeof(a)));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* RFC 7748, section 6.1. */
static const uint8_t alice[32] = {
	0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
	0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
	0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a
};
static const uint8_t bob[32] = {
	0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f,
	0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18,
	0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb
};

static void test_x25519_agrees_with_rfc_7748(void)
{
	uint8_t alice_pub[32], bob_pub[32], one[32], other[32];

	crypto_x25519_public(alice_pub, alice);
	crypto_x25519_public(bob_pub, bob);
	check_hex(alice_pub, 32, "8520f0098930a754748b7ddcb43ef75a"
	    "0dbf3a0d26381af4eba4a98eaa9b4e6a");
	check_hex(bob_pub, 32, "de9edb7d7b7dc1b4d35b61c2ece43537"
	    "3f8343c85b78674dadfc7e146f882b4f");
	CU_ASSERT_EQUAL(crypto_x25519(one, alice, bob_pub), 0);
	CU_ASSERT_EQUAL(crypto_x25519(other, bob, alice_pub), 0);
	check_hex(one, 32, "4a5d9d5ba4ce2de1728e3bf480350f25"
	    "e07e21c947d19e3376f09b3c1e161742");
	CU_ASSERT(crypto_equal(one, other, 32));
}

static void test_points_of_small_order_are_refused(void)
{
	static const uint8_t zero[32], one[32] = { 1 };
	uint8_t out[32];

	CU_ASSERT_EQUAL(crypto_x25519(out, alice, zero), ERR_CRYPTO);
	CU_ASSERT_EQUAL(crypto_x25519(out, alice, one), ERR_CRYPTO);
}

static void test_sha256_is_over_both_parts(void)
{
	static const char abc[] = "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad";
	uint8_t out[32];

	crypto_sha256(out, "abc", 3, NULL, 0);
	check_hex(out, 32, abc);
	crypto_sha256(out, "a", 1, "bc", 2);
	check_hex(out, 32, abc);
	crypto_sha256(out, NULL, 0, NULL, 0);
	check_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
}

static void test_sha256_may_write_over_its_input(void)
{
	uint8_t h[32] = "abc";

	crypto_sha256(h, h, 3, NULL, 0);
	check_hex(h, 32, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
}

static void test_hkdf_gives_two_or_three_keys(void)
{
	static const char ikm[] = "input key material";
	static const char first[] = "785dba36cff1fcf591f812fa0b2bade8"
	    "07af9e50d2a96caf28d3c9a285558549";
	static const char second[] = "8b4e05ec153f03cf906c305b981902e2"
	    "af26ae2966397bb43988c4ab28f3aae1";
	uint8_t ck[32], a[32], b[32], c[32];

	count_up(ck, sizeof(ck));
	crypto_hkdf(ck, ikm, sizeof(ikm) - 1, a, b, NULL);
	check_hex(a, 32, first);
	check_hex(b, 32, second);
	crypto_hkdf(ck, ikm, sizeof(ikm) - 1, a, b, c);
	check_hex(a, 32, first);
	check_hex(b, 32, second);
	check_hex(c, 32, "35effd0e30e44866f90854f48ee80ae3"
	    "24d856c3ee9ddde0e87365acf4aeeeed");
	crypto_hkdf(ck, NULL, 0, ck, b, NULL);	/* in place, no input */
	check_hex(ck, 32, "1d7e0d6f1d9da2d68dabed53b5f88345"
	    "f3fd01cb75411fbe5aa4293bd8f430d6");
}

static struct crypto_aead *new_aead(const uint8_t key[32])
{
	struct crypto_aead *a = NULL;

	CU_ASSERT_EQUAL_FATAL(crypto_aead_new(&a, key), 0);
	return a;
}

static void test_aead_is_aes_256_gcm_with_a_big_endian_nonce(void)
{
	static const uint8_t zero[32];
	uint8_t key[32], out[64];
	struct crypto_aead *a = new_aead(zero);

	/* Test cases 13 and 14 of the GCM specification. */
	CU_ASSERT_EQUAL(crypto_aead_seal(a, 0, NULL, 0, NULL, 0, out), 0);
	check_hex(out, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	CU_ASSERT_EQUAL(crypto_aead_seal(a, 0, NULL, 0, zero, 16, out), 0);
	check_hex(out, 32, "cea7403d4d606b6e074ec5d3baf39d18"
	    "d0d1c8a799996bf0265b98b5d48ab919");
	crypto_aead_free(a);

	count_up(key, sizeof(key));
	a = new_aead(key);
	CU_ASSERT_EQUAL(crypto_aead_seal(a, UINT64_C(0x0102030405060708),
	    "ad", 2, "plain", 5, out), 0);
	check_hex(out, 21, "743d0467b3a9d690dc2b3a8dad4b8522eeefa2a55d");
	crypto_aead_free(a);
}

static void test_aead_opens_only_what_was_sealed(void)
{
	uint8_t key[32], sealed[21], plain[5];
	struct crypto_aead *a;

	count_up(key, sizeof(key));
	a = new_aead(key);
	CU_ASSERT_EQUAL(crypto_aead_seal(a, 7, "ad", 2, "plain", 5, sealed),
	    0);
	CU_ASSERT_EQUAL(crypto_aead_open(a, 7, "ad", 2, sealed, 21, plain), 0);
	CU_ASSERT_EQUAL(memcmp(plain, "plain", 5), 0);
	CU_ASSERT_EQUAL(crypto_aead_open(a, 8, "ad", 2, sealed, 21, plain),
	    ERR_CRYPTO);
	CU_ASSERT_EQUAL(crypto_aead_open(a, 7, "aD", 2, sealed, 21, plain),
	    ERR_CRYPTO);
	CU_ASSERT_EQUAL(crypto_aead_open(a, 7, "a", 1, sealed, 21, plain),
	    ERR_CRYPTO);
	for (size_t len = 0; len < sizeof(sealed); len++)
		CU_ASSERT_EQUAL(crypto_aead_open(a, 7, "ad", 2, sealed, len,
		    plain), ERR_CRYPTO);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 0x80;
		CU_ASSERT_EQUAL(crypto_aead_open(a, 7, "ad", 2, sealed, 21,
		    plain), ERR_CRYPTO);
		sealed[i] ^= 0x80;
	}
	crypto_aead_free(a);
	crypto_aead_free(NULL);
}

static void test_aead_opens_an_empty_text(void)
{
	uint8_t key[32], sealed[16], plain[1];
	struct crypto_aead *a;

	count_up(key, sizeof(key));
	a = new_aead(key);
	CU_ASSERT_EQUAL(crypto_aead_seal(a, 1, "ad", 2, NULL, 0, sealed), 0);
	CU_ASSERT_EQUAL(crypto_aead_open(a, 1, "ad", 2, sealed, 16, plain), 0);
	sealed[15] ^= 1;
	CU_ASSERT_EQUAL(crypto_aead_open(a, 1, "ad", 2, sealed, 16, plain),
	    ERR_CRYPTO);
	crypto_aead_free(a);
}

/* RFC 4648, section 10. */
static void test_base64_agrees_with_rfc_4648(void)
{
	static const struct {
		const char *plain, *text, *url;
	} t[] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xff\xef\xbe", "/+++", "_---" },
	};
	uint8_t back[8];
	char out[16];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t len = strlen(t[i].plain);

		crypto_base64_encode(out, (const uint8_t *)t[i].plain, len);
		CU_ASSERT_STRING_EQUAL(out, t[i].text);
		CU_ASSERT_EQUAL(crypto_base64_decode(back, len, out,
		    strlen(out)), 0);
		CU_ASSERT_EQUAL(memcmp(back, t[i].plain, len), 0);
		crypto_base64url_encode(out, (const uint8_t *)t[i].plain, len);
		CU_ASSERT_STRING_EQUAL(out, t[i].url);
		CU_ASSERT_EQUAL(crypto_base64url_decode(back, len, out,
		    strlen(out)), 0);
		CU_ASSERT_EQUAL(memcmp(back, t[i].plain, len), 0);
	}
}

static void test_base64_encode_writes_no_more_than_it_says(void)
{
	uint8_t in[CRYPTO_BASE64_MAX];

	count_up(in, sizeof(in));
	for (size_t len = 0; len <= sizeof(in); len++) {
		char *text = malloc(CRYPTO_BASE64_LEN(len) + 1);
		char *url = malloc(CRYPTO_BASE64URL_LEN(len) + 1);

		CU_ASSERT_FATAL(text != NULL && url != NULL);
		crypto_base64_encode(text, in, len);
		crypto_base64url_encode(url, in, len);
		CU_ASSERT_EQUAL(strlen(text), CRYPTO_BASE64_LEN(len));
		CU_ASSERT_EQUAL(strlen(url), CRYPTO_BASE64URL_LEN(len));
		free(text);
		free(url);
	}
}

static void test_base64_takes_only_the_canonical_spelling(void)
{
	static const char *const bad[] = {
		"Zh==",		/* surplus bits */
		"Zg=", "Zg", "Zg===", "Z===", "====", "Zg=\n", " Zg=", "Z g=",
		"Zg==Zg==", "Zm8=", "Zm9v", "Z*==", "Zg=A", "-w==", "\xff\xff=="
	};
	static const char *const bad_url[] = {
		"Zh", "Z", "Zg=", "Zg==", "+w", "/w", "Z ", " Z", "Z\n", "Z=",
		"==", "Zm8"
	};
	uint8_t out[1] = { 0x11 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(crypto_base64_decode(out, 1, bad[i],
		    strlen(bad[i])), ERR_PROTO);
	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		CU_ASSERT_EQUAL(crypto_base64url_decode(out, 1, bad_url[i],
		    strlen(bad_url[i])), ERR_PROTO);
	CU_ASSERT_EQUAL(crypto_base64_decode(out, 1, "Z\0==", 4), ERR_PROTO);
	CU_ASSERT_EQUAL(out[0], 0x11);
}

/* One byte has two characters in the URL alphabet: 256 pairs of 65,536. */
static void test_every_byte_has_one_spelling_in_base64(void)
{
	unsigned seen[256] = { 0 }, taken = 0;
	uint8_t out;

	for (unsigned i = 0; i < 65536; i++) {
		char text[2] = { (char)(i >> 8), (char)(i & 255) };

		if (crypto_base64url_decode(&out, 1, text, 2) == 0) {
			seen[out]++;
			taken++;
		}
	}
	CU_ASSERT_EQUAL(taken, 256);
	for (unsigned i = 0; i < 256; i++)
		CU_ASSERT_EQUAL(seen[i], 1);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "random bytes differ each time",
		    test_random_bytes_differ_each_time },
		{ "wipe leaves only zeros", test_wipe_leaves_only_zeros },
		{ "equal sees a difference in any bit",
		    test_equal_sees_a_difference_in_any_bit },
		{ "X25519 agrees with RFC 7748",
		    test_x25519_agrees_with_rfc_7748 },
		{ "points of small order are refused",
		    test_points_of_small_order_are_refused },
		{ "SHA-256 is over both parts",
		    test_sha256_is_over_both_parts },
		{ "SHA-256 may write over its input",
		    test_sha256_may_write_over_its_input },
		{ "HKDF gives two or three keys",
		    test_hkdf_gives_two_or_three_keys },
		{ "the AEAD is AES-256-GCM with a big-endian nonce",
		    test_aead_is_aes_256_gcm_with_a_big_endian_nonce },
		{ "the AEAD opens only what was sealed",
		    test_aead_opens_only_what_was_sealed },
		{ "the AEAD opens an empty text",
		    test_aead_opens_an_empty_text },
		{ "base64 agrees with RFC 4648",
		    test_base64_agrees_with_rfc_4648 },
		{ "base64 encode writes no more than it says",
		    test_base64_encode_writes_no_more_than_it_says },
		{ "base64 takes only the canonical spelling",
		    test_base64_takes_only_the_canonical_spelling },
		{ "every byte has one spelling in base64",
		    test_every_byte_has_one_spelling_in_base64 },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
