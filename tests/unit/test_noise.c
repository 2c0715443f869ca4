#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/err.h"
#include "common/noise.h"
#include "tests/unit/unit.h"

#define OURS "Noise_IK_25519_AESGCM_SHA256"
#define SMALL 256u		/* room for every message of the vectors */

/* Bytes out of hexadecimal text; returns how many. */
static size_t unhex(uint8_t out[SMALL], const char *hex)
{
	size_t len = strlen(hex) / 2;

	CU_ASSERT_FATAL(len <= SMALL);
	for (size_t i = 0; i < len; i++) {
		unsigned byte = 0;

		CU_ASSERT_EQUAL_FATAL(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

static size_t member(uint8_t out[SMALL], const json_t *object, const char *key)
{
	const char *hex = json_string_value(json_object_get(object, key));

	CU_ASSERT_FATAL(hex != NULL);
	return unhex(out, hex);
}

static struct noise_keys key_member(const json_t *object, const char *key)
{
	struct noise_keys keys;
	uint8_t raw[SMALL];

	CU_ASSERT_EQUAL_FATAL(member(raw, object, key), 32);
	memcpy(keys.secret, raw, 32);
	crypto_x25519_public(keys.pub, keys.secret);
	return keys;
}

/* One message through `from`, compared with the vector, and into `to`. */
static void check_handshake_message(const json_t *message, struct noise *from,
    struct noise *to)
{
	uint8_t payload[SMALL], expected[SMALL], out[SMALL], back[SMALL];
	size_t payload_len = member(payload, message, "payload");
	size_t expected_len = member(expected, message, "ciphertext");
	size_t out_len = 0, back_len = 0;

	CU_ASSERT_EQUAL_FATAL(noise_write(from, payload, payload_len, out,
	    &out_len), 0);
	CU_ASSERT_EQUAL_FATAL(out_len, expected_len);
	CU_ASSERT_EQUAL(memcmp(out, expected, out_len), 0);
	CU_ASSERT_EQUAL_FATAL(noise_read(to, out, out_len, back, &back_len),
	    0);
	CU_ASSERT_EQUAL_FATAL(back_len, payload_len);
	CU_ASSERT_EQUAL(memcmp(back, payload, back_len), 0);
}

/* The messages after the handshake; the initiator sends every other one. */
static void check_transport(const json_t *messages, uint8_t key[2][32])
{
	struct crypto_aead *a[2];

	CU_ASSERT_EQUAL_FATAL(crypto_aead_new(&a[0], key[0]), 0);
	CU_ASSERT_EQUAL_FATAL(crypto_aead_new(&a[1], key[1]), 0);
	CU_ASSERT(json_array_size(messages) > 2);
	for (size_t i = 2; i < json_array_size(messages); i++) {
		const json_t *m = json_array_get(messages, i);
		uint8_t payload[SMALL], expected[SMALL], out[SMALL];
		size_t len = member(payload, m, "payload");

		CU_ASSERT_EQUAL_FATAL(member(expected, m, "ciphertext"),
		    len + CRYPTO_TAG_LEN);
		CU_ASSERT_EQUAL(crypto_aead_seal(a[i % 2], (i - 2) / 2, NULL,
		    0, payload, len, out), 0);
		CU_ASSERT_EQUAL(memcmp(out, expected, len + CRYPTO_TAG_LEN),
		    0);
	}
	crypto_aead_free(a[0]);
	crypto_aead_free(a[1]);
}

static void check_vector(const json_t *v)
{
	const json_t *messages = json_object_get(v, "messages");
	struct noise_keys is = key_member(v, "init_static");
	struct noise_keys rs = key_member(v, "resp_static");
	struct noise_keys ie = key_member(v, "init_ephemeral");
	struct noise_keys re = key_member(v, "resp_ephemeral");
	uint8_t raw[SMALL], key[2][32], again[2][32], hash[32], hash_2[32];
	struct noise *i, *r;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(member(raw, v, "init_remote_static"), 32);
	CU_ASSERT_EQUAL(memcmp(raw, rs.pub, 32), 0);
	len = member(raw, v, "init_prologue");
	CU_ASSERT_EQUAL_FATAL(noise_new_initiator(&i, &is, rs.pub, raw, len,
	    ie.secret), 0);
	len = member(raw, v, "resp_prologue");
	CU_ASSERT_EQUAL_FATAL(noise_new_responder(&r, &rs, raw, len,
	    re.secret), 0);
	check_handshake_message(json_array_get(messages, 0), i, r);
	CU_ASSERT_EQUAL(memcmp(noise_remote(r), is.pub, 32), 0);
	check_handshake_message(json_array_get(messages, 1), r, i);

	CU_ASSERT_EQUAL_FATAL(noise_split(i, key[0], key[1], hash), 0);
	CU_ASSERT_EQUAL_FATAL(noise_split(r, again[0], again[1], hash_2), 0);
	CU_ASSERT_EQUAL(memcmp(key, again, sizeof(key)), 0);
	CU_ASSERT_EQUAL(memcmp(hash, hash_2, sizeof(hash)), 0);
	CU_ASSERT_EQUAL_FATAL(member(raw, v, "handshake_hash"), 32);
	CU_ASSERT_EQUAL(memcmp(hash, raw, sizeof(hash)), 0);
	check_transport(messages, key);
	noise_free(i);
	noise_free(r);
}

static void test_the_published_vectors_come_out(void)
{
	const char *srcdir = getenv("srcdir");
	const json_t *vectors;
	json_error_t why;
	json_t *root;
	char path[4096];
	unsigned ours = 0;

	snprintf(path, sizeof(path), "%s/tests/vectors/noise-ik.json",
	    srcdir == NULL ? "." : srcdir);
	root = json_load_file(path, 0, &why);
	CU_ASSERT_FATAL(root != NULL);
	vectors = json_object_get(root, "vectors");
	/* The file holds other patterns and ciphers too. */
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *v = json_array_get(vectors, i);
		const char *name = json_string_value(json_object_get(v,
		    "protocol_name"));

		if (name == NULL || strcmp(name, OURS) != 0)
			continue;
		check_vector(v);
		ours++;
	}
	CU_ASSERT(ours > 0);
	json_decref(root);
}

/* Two ends that know each other's keys, if prologue and gateway agree. */
struct pair {
	struct noise_keys ik, rk;
	struct noise *i, *r;
};

static void pair_init(struct pair *p, const char *prologue_r)
{
	noise_keys_generate(&p->ik);
	noise_keys_generate(&p->rk);
	CU_ASSERT_EQUAL_FATAL(noise_new_initiator(&p->i, &p->ik, p->rk.pub,
	    "p", 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(noise_new_responder(&p->r, &p->rk, prologue_r,
	    strlen(prologue_r), NULL), 0);
}

static void pair_fini(struct pair *p)
{
	noise_free(p->i);
	noise_free(p->r);
}

static void test_fresh_handshakes_agree_and_never_repeat(void)
{
	uint8_t m[2][SMALL], out[SMALL], a[2][32], b[2][32], hash[32];
	struct pair p;
	size_t len, n;

	for (int round = 0; round < 2; round++) {
		pair_init(&p, "p");
		CU_ASSERT(noise_remote(p.r) == NULL);
		CU_ASSERT_EQUAL(noise_write(p.i, "hi", 2, m[round], &len), 0);
		CU_ASSERT_EQUAL(len, 2 + NOISE_1_OVERHEAD);
		CU_ASSERT_EQUAL(noise_read(p.r, m[round], len, out, &n), 0);
		CU_ASSERT_EQUAL(memcmp(noise_remote(p.r), p.ik.pub, 32), 0);
		CU_ASSERT_EQUAL(memcmp(noise_remote(p.i), p.ik.pub, 32), 0);
		CU_ASSERT_EQUAL(noise_write(p.r, NULL, 0, out, &len), 0);
		CU_ASSERT_EQUAL(len, NOISE_2_OVERHEAD);
		CU_ASSERT_EQUAL(noise_read(p.i, out, len, out + 128, &n), 0);
		CU_ASSERT_EQUAL(n, 0);
		CU_ASSERT_EQUAL(noise_split(p.i, a[0], a[1], hash), 0);
		CU_ASSERT_EQUAL(noise_split(p.r, b[0], b[1], hash), 0);
		CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)), 0);
		CU_ASSERT(memcmp(a[0], a[1], 32) != 0);
		pair_fini(&p);
	}
	CU_ASSERT(memcmp(m[0], m[1], 32) != 0);
}

static void test_the_order_of_calls_is_enforced(void)
{
	uint8_t m[SMALL], out[SMALL], k[32];
	struct pair p;
	size_t len, n;

	pair_init(&p, "p");
	CU_ASSERT_EQUAL(noise_read(p.i, m, 100, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_write(p.r, "x", 1, m, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_split(p.i, k, k, k), ERR_STATE);
	CU_ASSERT_EQUAL(noise_write(p.i, "x", 1, m, &len), 0);
	CU_ASSERT_EQUAL(noise_write(p.i, "x", 1, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_read(p.r, m, len, out, &n), 0);
	CU_ASSERT_EQUAL(noise_read(p.r, m, len, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_split(p.r, k, k, k), ERR_STATE);
	CU_ASSERT_EQUAL(noise_write(p.r, "y", 1, m, &len), 0);
	CU_ASSERT_EQUAL(noise_write(p.r, "y", 1, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_read(p.i, m, len, out, &n), 0);
	CU_ASSERT_EQUAL(noise_read(p.i, m, len, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_write(p.i, "x", 1, m, &n), ERR_STATE);
	pair_fini(&p);
}

static void test_messages_too_short_or_too_long_are_refused(void)
{
	static uint8_t big[NOISE_MESSAGE_MAX + 1], out[NOISE_MESSAGE_MAX + 1];
	struct pair p;
	size_t n;

	pair_init(&p, "p");
	for (size_t len = 0; len < NOISE_1_OVERHEAD; len++)
		CU_ASSERT_EQUAL(noise_read(p.r, big, len, out, &n), ERR_LIMIT);
	CU_ASSERT_EQUAL(noise_read(p.r, big, sizeof(big), out, &n),
	    ERR_LIMIT);
	CU_ASSERT_EQUAL(noise_write(p.i, big,
	    NOISE_MESSAGE_MAX - NOISE_1_OVERHEAD + 1, out, &n), ERR_LIMIT);
	CU_ASSERT_EQUAL(noise_write(p.i, big,
	    NOISE_MESSAGE_MAX - NOISE_1_OVERHEAD, out, &n), 0);
	CU_ASSERT_EQUAL(n, NOISE_MESSAGE_MAX);
	CU_ASSERT_EQUAL(noise_read(p.r, out, n, big, &n), 0);
	for (size_t len = 0; len < NOISE_2_OVERHEAD; len++)
		CU_ASSERT_EQUAL(noise_read(p.i, out, len, big, &n), ERR_LIMIT);
	pair_fini(&p);
}

static void test_another_prologue_does_not_authenticate(void)
{
	uint8_t m[SMALL], out[SMALL];
	struct pair p;
	size_t len, n;

	pair_init(&p, "q");
	CU_ASSERT_EQUAL(noise_write(p.i, "x", 1, m, &len), 0);
	CU_ASSERT_EQUAL(noise_read(p.r, m, len, out, &n), ERR_CRYPTO);
	pair_fini(&p);
}

static void test_a_failed_handshake_is_dead(void)
{
	uint8_t m[SMALL], out[SMALL], k[32];
	struct pair p;
	size_t len, n;

	pair_init(&p, "p");
	CU_ASSERT_EQUAL(noise_write(p.i, "x", 1, m, &len), 0);
	m[len - 1] ^= 1;
	CU_ASSERT_EQUAL(noise_read(p.r, m, len, out, &n), ERR_CRYPTO);
	CU_ASSERT(noise_remote(p.r) == NULL);
	m[len - 1] ^= 1;
	CU_ASSERT_EQUAL(noise_read(p.r, m, len, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_write(p.r, "y", 1, out, &n), ERR_STATE);
	CU_ASSERT_EQUAL(noise_split(p.r, k, k, k), ERR_STATE);
	pair_fini(&p);
}

static void test_a_remote_key_of_small_order_is_refused(void)
{
	static const uint8_t zero[32];
	struct noise_keys keys;
	struct noise *n = NULL;
	uint8_t m[SMALL];
	size_t len;

	noise_keys_generate(&keys);
	CU_ASSERT_EQUAL_FATAL(noise_new_initiator(&n, &keys, zero, NULL, 0,
	    NULL), 0);
	CU_ASSERT_EQUAL(noise_write(n, "x", 1, m, &len), ERR_CRYPTO);
	CU_ASSERT_EQUAL(noise_write(n, "x", 1, m, &len), ERR_STATE);
	noise_free(n);
}

static void test_rekey_is_the_text_of_zeros_under_the_last_nonce(void)
{
	uint8_t key[32], expected[SMALL];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	unhex(expected, "0201675c87335949b909793da5bb4d92"
	    "fcf6d44b92a6e0792b6ae48b1881259d");
	CU_ASSERT_EQUAL(noise_rekey(key), 0);
	CU_ASSERT_EQUAL(memcmp(key, expected, sizeof(key)), 0);
}

static void test_freeing_nothing_is_harmless(void)
{
	noise_free(NULL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "the published vectors come out",
		    test_the_published_vectors_come_out },
		{ "fresh handshakes agree and never repeat",
		    test_fresh_handshakes_agree_and_never_repeat },
		{ "the order of calls is enforced",
		    test_the_order_of_calls_is_enforced },
		{ "messages too short or too long are refused",
		    test_messages_too_short_or_too_long_are_refused },
		{ "another prologue does not authenticate",
		    test_another_prologue_does_not_authenticate },
		{ "a failed handshake is dead",
		    test_a_failed_handshake_is_dead },
		{ "a remote key of small order is refused",
		    test_a_remote_key_of_small_order_is_refused },
		{ "rekey is the text of zeros under the last nonce",
		    test_rekey_is_the_text_of_zeros_under_the_last_nonce },
		{ "freeing nothing is harmless",
		    test_freeing_nothing_is_harmless },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
