#include "config.h"

#include "common/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/noise.h"
#include "common/wire.h"

#define COUNTER_MASK ((UINT64_C(1) << RECORD_COUNTER_BITS) - 1)

/*
 * The last counter is never used: with generation 0xffff it would make the
 * nonce that Noise reserves for rekeying.
 */
#define COUNTER_END COUNTER_MASK

/* Length field: what follows it. */
#define LENGTH_LEN 2u
#define LENGTH_MIN (RECORD_OVERHEAD - LENGTH_LEN + 1)
#define LENGTH_MAX (RECORD_MAX - LENGTH_LEN)

/* Upgrades that failed while nothing was said do not get further. */
#define EPOCHS_SKIPPED_MAX 1024u

#define AD_LEN (RECORD_HEAD + RECORD_ID_LEN)

struct record_key {
	uint16_t generation;
	uint8_t id[RECORD_ID_LEN];
	uint64_t next;		/* counter of the next record sealed */
	uint64_t epoch;		/* the current one */
	uint8_t key[CRYPTO_KEY_LEN];	/* of the current epoch */
	uint8_t key_before[CRYPTO_KEY_LEN];	/* of that, if before */
	uint8_t key_after[CRYPTO_KEY_LEN];	/* of the next, if after */
	struct crypto_aead *before;	/* the epoch before; NULL in epoch 0 */
	struct crypto_aead *current;
	struct crypto_aead *after;	/* the next, once it was needed */
};

int record_key_new(struct record_key **out, const uint8_t key[32],
    uint16_t generation, const uint8_t id[RECORD_ID_LEN])
{
	struct record_key *k;
	int rc;

	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return ERR_NOMEM;
	k->generation = generation;
	memcpy(k->id, id, sizeof(k->id));
	memcpy(k->key, key, sizeof(k->key));
	rc = crypto_aead_new(&k->current, key);
	if (rc != 0) {
		record_key_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void record_key_free(struct record_key *k)
{
	if (k == NULL)
		return;
	crypto_aead_free(k->before);
	crypto_aead_free(k->current);
	crypto_aead_free(k->after);
	crypto_wipe(k, sizeof(*k));
	free(k);
}

uint16_t record_key_generation(const struct record_key *k)
{
	return k->generation;
}

/* Have the next epoch's cipher at hand. */
static int prepare_after(struct record_key *k)
{
	int rc;

	if (k->after != NULL)
		return 0;
	memcpy(k->key_after, k->key, sizeof(k->key_after));
	rc = noise_rekey(k->key_after);
	if (rc != 0)
		return rc;
	return crypto_aead_new(&k->after, k->key_after);
}

/* The next epoch, which was prepared, becomes the current one. */
static void advance(struct record_key *k)
{
	assert(k->after != NULL);
	crypto_aead_free(k->before);
	k->before = k->current;
	k->current = k->after;
	k->after = NULL;
	memcpy(k->key_before, k->key, sizeof(k->key_before));
	memcpy(k->key, k->key_after, sizeof(k->key));
	crypto_wipe(k->key_after, sizeof(k->key_after));
	k->epoch++;
}

static void associated_data(const struct record_key *k, const uint8_t *head,
    uint8_t ad[AD_LEN])
{
	memcpy(ad, head, RECORD_HEAD);
	memcpy(ad + RECORD_HEAD, k->id, RECORD_ID_LEN);
}

int record_seal(struct record_key *k, const uint8_t *plain, size_t len,
    uint8_t *out, size_t *out_len, uint64_t *number)
{
	uint8_t ad[AD_LEN];
	uint64_t num;
	int rc;

	assert(len >= 1 && len <= RECORD_PLAIN_MAX);
	if (k->next >= COUNTER_END)
		return ERR_LIMIT;
	while (k->epoch < k->next >> RECORD_EPOCH_BITS) {
		rc = prepare_after(k);
		if (rc != 0)
			return rc;
		advance(k);
	}
	/* Counted before it is used: a failed seal burns its number. */
	num = (uint64_t)k->generation << RECORD_COUNTER_BITS | k->next++;
	wire_store_u16(out, (uint16_t)(len + RECORD_OVERHEAD - LENGTH_LEN));
	wire_store_u64(out + LENGTH_LEN, num);
	associated_data(k, out, ad);
	rc = crypto_aead_seal(k->current, num, ad, sizeof(ad), plain, len,
	    out + RECORD_HEAD);
	if (rc != 0)
		return rc;
	*out_len = len + RECORD_OVERHEAD;
	*number = num;
	return 0;
}

void record_key_set_next(struct record_key *k, uint64_t counter)
{
	assert(counter >> RECORD_EPOCH_BITS >= k->epoch);
	k->next = counter;
}

void record_key_skip(struct record_key *k, uint32_t count)
{
	assert(count <= RECORD_SKIP_MAX);
	k->next = count < COUNTER_END - k->next ? k->next + count :
	    COUNTER_END;
}

void record_key_export(const struct record_key *k,
    struct record_key_state *out)
{
	*out = (struct record_key_state){
		.generation = k->generation,
		.next = k->next,
		.epoch = k->epoch,
		.has_before = k->before != NULL,
	};
	memcpy(out->key, k->key, sizeof(out->key));
	if (out->has_before)
		memcpy(out->before, k->key_before, sizeof(out->before));
}

int record_key_import(struct record_key **out,
    const struct record_key_state *from, const uint8_t id[RECORD_ID_LEN])
{
	uint64_t sealing = from->next >> RECORD_EPOCH_BITS;
	struct record_key *k = NULL;
	int rc;

	/*
	 * A key that opens stands at number 0, one that seals in its epoch or
	 * at the beginning of the next; more only by skipping.
	 */
	if (from->next > COUNTER_END ||
	    from->epoch > COUNTER_MASK >> RECORD_EPOCH_BITS ||
	    from->has_before != (from->epoch > 0) ||
	    (from->next > 0 && (sealing < from->epoch ||
	    sealing - from->epoch > EPOCHS_SKIPPED_MAX)))
		return ERR_PROTO;
	rc = record_key_new(&k, from->key, from->generation, id);
	if (rc == 0 && from->has_before) {
		memcpy(k->key_before, from->before, sizeof(k->key_before));
		rc = crypto_aead_new(&k->before, from->before);
	}
	if (rc != 0) {
		record_key_free(k);
		return rc;
	}
	k->next = from->next;
	k->epoch = from->epoch;
	*out = k;
	return 0;
}

int record_peek(const uint8_t *data, size_t len, size_t *record_len)
{
	uint16_t length;

	if (len < RECORD_HEAD)
		return ERR_MORE;
	length = wire_load_u16(data);
	if (length < LENGTH_MIN || length > LENGTH_MAX)
		return ERR_PROTO;
	*record_len = LENGTH_LEN + length;
	return 0;
}

uint64_t record_number(const uint8_t *record)
{
	return wire_load_u64(record + LENGTH_LEN);
}

uint16_t record_number_generation(uint64_t number)
{
	return (uint16_t)(number >> RECORD_COUNTER_BITS);
}

/*
 * The cipher for an epoch, NULL in *out if it is none of the three that are
 * taken. Whoever invents numbers gets no derivation out of us, but for the one
 * of the next epoch, which is kept.
 */
static int cipher_for(struct record_key *k, uint64_t epoch,
    struct crypto_aead **out)
{
	int rc = 0;

	*out = NULL;
	if (epoch == k->epoch) {
		*out = k->current;
	} else if (epoch + 1 == k->epoch) {
		*out = k->before;
	} else if (epoch == k->epoch + 1) {
		rc = prepare_after(k);
		*out = k->after;
	}
	return rc;
}

int record_open(struct record_key *k, const uint8_t *record,
    size_t record_len, uint8_t *out, size_t *out_len)
{
	uint8_t ad[AD_LEN];
	struct crypto_aead *a;
	uint64_t number, epoch;
	size_t whole;
	int rc;

	if (record_peek(record, record_len, &whole) != 0 ||
	    whole != record_len)
		return ERR_CRYPTO;
	number = record_number(record);
	epoch = (number & COUNTER_MASK) >> RECORD_EPOCH_BITS;
	if (record_number_generation(number) != k->generation)
		return ERR_CRYPTO;
	rc = cipher_for(k, epoch, &a);
	if (rc != 0)
		return rc;
	if (a == NULL)
		return ERR_CRYPTO;
	associated_data(k, record, ad);
	rc = crypto_aead_open(a, number, ad, sizeof(ad), record + RECORD_HEAD,
	    record_len - RECORD_HEAD, out);
	if (rc != 0)
		return rc;
	if (epoch > k->epoch)
		advance(k);
	*out_len = record_len - RECORD_OVERHEAD;
	return 0;
}
