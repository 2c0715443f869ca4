#include "config.h"

#include "common/noise.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define KEY CRYPTO_KEY_LEN
#define TAG CRYPTO_TAG_LEN

enum step { MESSAGE_1, MESSAGE_2, DONE, DEAD };

struct noise {
	bool initiator;
	bool fixed_ephemeral;	/* e was given by a test */
	bool has_remote;	/* rs is known */
	enum step step;		/* which message is next */
	struct noise_keys s, e;	/* ours: static and ephemeral */
	uint8_t rs[KEY], re[KEY];	/* theirs, public */
	uint8_t h[KEY];		/* SymmetricState: hash, chaining key, */
	uint8_t ck[KEY];
	uint8_t k[KEY];		/* CipherState: key and nonce */
	uint64_t n;
};

void noise_keys_generate(struct noise_keys *out)
{
	crypto_random(out->secret, sizeof(out->secret));
	crypto_x25519_public(out->pub, out->secret);
}

static void mix_hash(struct noise *n, const void *data, size_t len)
{
	crypto_sha256(n->h, n->h, sizeof(n->h), data, len);
}

/* MixKey of a Diffie-Hellman result. */
static int mix_dh(struct noise *n, const struct noise_keys *ours,
    const uint8_t theirs[32])
{
	uint8_t shared[KEY];
	int rc;

	rc = crypto_x25519(shared, ours->secret, theirs);
	if (rc == 0) {
		crypto_hkdf(n->ck, shared, sizeof(shared), n->ck, n->k, NULL);
		n->n = 0;
	}
	crypto_wipe(shared, sizeof(shared));
	return rc;
}

/* EncryptAndHash; in this pattern there always is a key. */
static int seal(struct noise *n, const void *in, size_t len, uint8_t *out)
{
	struct crypto_aead *a;
	int rc;

	rc = crypto_aead_new(&a, n->k);
	if (rc != 0)
		return rc;
	rc = crypto_aead_seal(a, n->n++, n->h, sizeof(n->h), in, len, out);
	crypto_aead_free(a);
	if (rc == 0)
		mix_hash(n, out, len + TAG);
	return rc;
}

/* DecryptAndHash; len includes the tag. */
static int open_sealed(struct noise *n, const uint8_t *in, size_t len,
    uint8_t *out)
{
	struct crypto_aead *a;
	int rc;

	rc = crypto_aead_new(&a, n->k);
	if (rc != 0)
		return rc;
	rc = crypto_aead_open(a, n->n++, n->h, sizeof(n->h), in, len, out);
	crypto_aead_free(a);
	if (rc == 0)
		mix_hash(n, in, len);
	return rc;
}

/* Token e of the writer. */
static void write_e(struct noise *n, uint8_t out[32])
{
	if (!n->fixed_ephemeral)
		noise_keys_generate(&n->e);
	memcpy(out, n->e.pub, KEY);
	mix_hash(n, n->e.pub, KEY);
}

/* Token e of the reader. */
static void read_e(struct noise *n, const uint8_t in[32])
{
	memcpy(n->re, in, KEY);
	mix_hash(n, n->re, KEY);
}

/* -> e, es, s, ss */
static int write_1(struct noise *n, const void *payload, size_t len,
    uint8_t *out)
{
	int rc;

	write_e(n, out);
	if ((rc = mix_dh(n, &n->e, n->rs)) != 0 ||
	    (rc = seal(n, n->s.pub, KEY, out + KEY)) != 0 ||
	    (rc = mix_dh(n, &n->s, n->rs)) != 0)
		return rc;
	return seal(n, payload, len, out + KEY + KEY + TAG);
}

static int read_1(struct noise *n, const uint8_t *message, size_t len,
    uint8_t *out)
{
	const size_t head = KEY + KEY + TAG;
	int rc;

	read_e(n, message);
	if ((rc = mix_dh(n, &n->s, n->re)) != 0 ||
	    (rc = open_sealed(n, message + KEY, KEY + TAG, n->rs)) != 0 ||
	    (rc = mix_dh(n, &n->s, n->rs)) != 0)
		return rc;
	return open_sealed(n, message + head, len - head, out);
}

/* <- e, ee, se */
static int write_2(struct noise *n, const void *payload, size_t len,
    uint8_t *out)
{
	int rc;

	write_e(n, out);
	if ((rc = mix_dh(n, &n->e, n->re)) != 0 ||
	    (rc = mix_dh(n, &n->e, n->rs)) != 0)
		return rc;
	return seal(n, payload, len, out + KEY);
}

static int read_2(struct noise *n, const uint8_t *message, size_t len,
    uint8_t *out)
{
	int rc;

	read_e(n, message);
	if ((rc = mix_dh(n, &n->e, n->re)) != 0 ||
	    (rc = mix_dh(n, &n->s, n->re)) != 0)
		return rc;
	return open_sealed(n, message + KEY, len - KEY, out);
}

/* Initialize() up to and including the pre-message, the responder's key. */
static int create(struct noise **out, bool initiator,
    const struct noise_keys *keys, const uint8_t responder[32],
    const void *prologue, size_t prologue_len, const uint8_t *test_ephemeral)
{
	/* Shorter than a hash, so that it is padded, not hashed. */
	static const char name[CRYPTO_KEY_LEN] =
	    "Noise_IK_25519_AESGCM_SHA256";
	struct noise *n;

	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return ERR_NOMEM;
	n->initiator = initiator;
	n->step = MESSAGE_1;
	n->s = *keys;
	if (test_ephemeral != NULL) {
		n->fixed_ephemeral = true;
		memcpy(n->e.secret, test_ephemeral, KEY);
		crypto_x25519_public(n->e.pub, n->e.secret);
	}
	memcpy(n->h, name, sizeof(n->h));
	memcpy(n->ck, name, sizeof(n->ck));
	mix_hash(n, prologue, prologue_len);
	mix_hash(n, responder, KEY);
	*out = n;
	return 0;
}

int noise_new_initiator(struct noise **out, const struct noise_keys *keys,
    const uint8_t remote[32], const void *prologue, size_t prologue_len,
    const uint8_t *test_ephemeral)
{
	int rc;

	rc = create(out, true, keys, remote, prologue, prologue_len,
	    test_ephemeral);
	if (rc == 0)
		memcpy((*out)->rs, remote, KEY);
	return rc;
}

int noise_new_responder(struct noise **out, const struct noise_keys *keys,
    const void *prologue, size_t prologue_len, const uint8_t *test_ephemeral)
{
	return create(out, false, keys, keys->pub, prologue, prologue_len,
	    test_ephemeral);
}

void noise_free(struct noise *n)
{
	if (n == NULL)
		return;
	crypto_wipe(n, sizeof(*n));
	free(n);
}

/* The message is through: on to the next step, or the end of the handshake. */
static int settle(struct noise *n, int rc)
{
	if (rc != 0) {
		crypto_wipe(n->ck, sizeof(n->ck));
		crypto_wipe(n->k, sizeof(n->k));
		n->step = DEAD;
	} else {
		n->step = n->step == MESSAGE_1 ? MESSAGE_2 : DONE;
	}
	return rc;
}

int noise_write(struct noise *n, const void *payload, size_t len,
    uint8_t *out, size_t *out_len)
{
	size_t overhead = n->initiator ? NOISE_1_OVERHEAD : NOISE_2_OVERHEAD;
	int rc;

	if (n->step != (n->initiator ? MESSAGE_1 : MESSAGE_2))
		return ERR_STATE;
	if (len > NOISE_MESSAGE_MAX - overhead)
		return ERR_LIMIT;
	rc = n->initiator ? write_1(n, payload, len, out) :
	    write_2(n, payload, len, out);
	if (rc == 0)
		*out_len = len + overhead;
	return settle(n, rc);
}

int noise_read(struct noise *n, const uint8_t *message, size_t len,
    uint8_t *out, size_t *out_len)
{
	size_t overhead = n->initiator ? NOISE_2_OVERHEAD : NOISE_1_OVERHEAD;
	int rc;

	if (n->step != (n->initiator ? MESSAGE_2 : MESSAGE_1))
		return ERR_STATE;
	if (len < overhead || len > NOISE_MESSAGE_MAX)
		return ERR_LIMIT;
	rc = n->initiator ? read_2(n, message, len, out) :
	    read_1(n, message, len, out);
	if (rc == 0) {
		*out_len = len - overhead;
		n->has_remote = true;
	}
	return settle(n, rc);
}

const uint8_t *noise_remote(const struct noise *n)
{
	if (n->initiator)
		return n->s.pub;
	return n->has_remote ? n->rs : NULL;
}

int noise_split(struct noise *n, uint8_t from_initiator[32],
    uint8_t from_responder[32], uint8_t hash[32])
{
	if (n->step != DONE)
		return ERR_STATE;
	crypto_hkdf(n->ck, NULL, 0, from_initiator, from_responder, NULL);
	memcpy(hash, n->h, sizeof(n->h));
	return 0;
}

int noise_rekey(uint8_t key[32])
{
	static const uint8_t zero[KEY];
	struct crypto_aead *a;
	uint8_t sealed[KEY + TAG];
	int rc;

	rc = crypto_aead_new(&a, key);
	if (rc != 0)
		return rc;
	rc = crypto_aead_seal(a, UINT64_MAX, NULL, 0, zero, sizeof(zero),
	    sealed);
	crypto_aead_free(a);
	if (rc == 0)
		memcpy(key, sealed, KEY);
	crypto_wipe(sealed, sizeof(sealed));
	return rc;
}
