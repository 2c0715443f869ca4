/*
 * Sealed records (docs/PROTOCOL.md, section "Records"):
 *
 *	length (2) | number (8) | sealed frames | tag (16)
 *
 * length counts all that follows it. The number is the AEAD's nonce: 16 bits
 * generation (which handshake made the key), 48 bits counter. Every 2^20
 * records the key is moved on (Noise REKEY); that epoch is counter >> 20. The
 * associated data is the head (length and number) and the session's id. The
 * counter 2^48 - 1 is never used: Noise keeps the nonce 2^64 - 1 for rekeying.
 *
 * Nothing here knows of HTTP, of frames or of replay: who opens a record
 * looks at its number.
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"

#define RECORD_PLAIN_MAX 16384u		/* bytes of frames in one record */
#define RECORD_HEAD 10u
#define RECORD_OVERHEAD (RECORD_HEAD + CRYPTO_TAG_LEN)
#define RECORD_MAX (RECORD_PLAIN_MAX + RECORD_OVERHEAD)
#define RECORD_ID_LEN 16u		/* bytes of a session's id */
#define RECORD_COUNTER_BITS 48
#define RECORD_EPOCH_BITS 20		/* records between two rekeys: 2^20 */

/* One direction of one generation of one session. */
struct record_key;

int record_key_new(struct record_key **out, const uint8_t key[32],
    uint16_t generation, const uint8_t id[RECORD_ID_LEN]);
void record_key_free(struct record_key *k);	/* wipes */
uint16_t record_key_generation(const struct record_key *k);

/*
 * Seal plain[0..len), 1 <= len <= RECORD_PLAIN_MAX, under the next number.
 * out has room for len + RECORD_OVERHEAD bytes and does not overlap plain.
 * 0, the number in *number and the record's length in *out_len; ERR_LIMIT
 * when the numbers are used up; ERR_CRYPTO.
 */
int record_seal(struct record_key *k, const uint8_t *plain, size_t len,
    uint8_t *out, size_t *out_len, uint64_t *number);

/* For tests: the counter that the next record_seal uses. */
void record_key_set_next(struct record_key *k, uint64_t counter);

/*
 * Never use the next count numbers. Cheap, and the peer does not mind: to it
 * they are lost.
 */
#define RECORD_SKIP_MAX (1u << (RECORD_EPOCH_BITS - 1))
void record_key_skip(struct record_key *k, uint32_t count);

/*
 * All there is to a key, for another program that goes on with it: a secret,
 * to be wiped. Both must never seal: see session_skip_numbers.
 */
struct record_key_state {
	uint16_t generation;
	uint64_t next, epoch;
	bool has_before;
	uint8_t key[CRYPTO_KEY_LEN], before[CRYPTO_KEY_LEN];
};
void record_key_export(const struct record_key *k,
    struct record_key_state *out);

/* 0, ERR_PROTO (no key is ever in such a state), ERR_NOMEM or ERR_CRYPTO. */
int record_key_import(struct record_key **out,
    const struct record_key_state *from, const uint8_t id[RECORD_ID_LEN]);

/*
 * How long is the record at the front of data? 0 and *record_len (head
 * included, at most RECORD_MAX); ERR_MORE with fewer than RECORD_HEAD bytes;
 * ERR_PROTO when no record can begin like this.
 */
int record_peek(const uint8_t *data, size_t len, size_t *record_len);

/* The number of a record of which at least RECORD_HEAD bytes are there. */
uint64_t record_number(const uint8_t *record);

/* The generation part of a number. */
uint16_t record_number_generation(uint64_t number);

/*
 * Open a whole record of record_len bytes. out has room for RECORD_PLAIN_MAX.
 * Accepts numbers of the current epoch, of the one before and of the next
 * (which then becomes the current one, once the record has authenticated);
 * all others, other generations, and whatever does not authenticate are
 * ERR_CRYPTO. Does not know which numbers were seen before.
 */
int record_open(struct record_key *k, const uint8_t *record,
    size_t record_len, uint8_t *out, size_t *out_len);

#endif
