/*
 * The Noise handshake Noise_IK_25519_AESGCM_SHA256 (noiseprotocol.org,
 * revision 34): two messages, after which both sides share two keys and know
 * each other. Nothing here knows what the payloads mean.
 */
#ifndef COMMON_NOISE_H
#define COMMON_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"

#define NOISE_MESSAGE_MAX 65535u
/* What the messages add to their payloads: e, s and a tag; e and a tag. */
#define NOISE_1_OVERHEAD (32u + 48u + 16u)
#define NOISE_2_OVERHEAD (32u + 16u)

/* A long-term key pair. */
struct noise_keys {
	uint8_t secret[32];
	uint8_t pub[32];
};
void noise_keys_generate(struct noise_keys *out);

struct noise;			/* one handshake, one side of it */

/*
 * keys is copied. remote is the responder's public key. Both ends give the
 * same prologue. The last argument is the ephemeral secret for test vectors;
 * NULL means a fresh random one, always, outside of tests.
 */
int noise_new_initiator(struct noise **out, const struct noise_keys *keys,
    const uint8_t remote[32], const void *prologue, size_t prologue_len,
    const uint8_t *test_ephemeral);
int noise_new_responder(struct noise **out, const struct noise_keys *keys,
    const void *prologue, size_t prologue_len, const uint8_t *test_ephemeral);
void noise_free(struct noise *n);	/* wipes everything */

/*
 * Write or read this side's next message, payload in or out. Initiator: write
 * then read; responder: read then write; anything else is ERR_STATE.
 * out has room for len + NOISE_x_OVERHEAD when writing, and for len when
 * reading, and overlaps nothing; *out_len receives the true length.
 * ERR_CRYPTO: did not authenticate; the handshake is then dead.
 * ERR_LIMIT: message too long, or too short to be one.
 */
int noise_write(struct noise *n, const void *payload, size_t len,
    uint8_t *out, size_t *out_len);
int noise_read(struct noise *n, const uint8_t *message, size_t len,
    uint8_t *out, size_t *out_len);

/* The initiator's public key; on the responder NULL before its read. */
const uint8_t *noise_remote(const struct noise *n);

/*
 * After both messages: the key for what the initiator sends, the key for what
 * the responder sends (Split), and the handshake hash. ERR_STATE before.
 */
int noise_split(struct noise *n, uint8_t from_initiator[32],
    uint8_t from_responder[32], uint8_t hash[32]);

/* Noise's REKEY (section 4.2): the key that follows `key`. */
int noise_rekey(uint8_t key[32]);

#endif
