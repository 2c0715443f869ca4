#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/record.h"
#include "tests/unit/unit.h"

#define EPOCH (UINT64_C(1) << RECORD_EPOCH_BITS)
#define SMALL 64u			/* room for a record of a few bytes */

static const uint8_t secret[32] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t id[RECORD_ID_LEN] = { 0xaa, 0xbb, 0xcc };

static struct record_key *new_key(uint16_t generation)
{
	struct record_key *k = NULL;

	CU_ASSERT_EQUAL_FATAL(record_key_new(&k, secret, generation, id), 0);
	return k;
}

/* Seal one byte under the given counter; the record's length. */
static size_t seal_at(struct record_key *k, uint64_t counter, uint8_t byte,
    uint8_t out[SMALL])
{
	uint64_t number;
	size_t len = 0;

	record_key_set_next(k, counter);
	CU_ASSERT_EQUAL_FATAL(record_seal(k, &byte, 1, out, &len, &number), 0);
	CU_ASSERT_EQUAL(number & ((UINT64_C(1) << 48) - 1), counter);
	return len;
}

/* Open a record of one byte: that byte, or the error. */
static int open_byte(struct record_key *k, const uint8_t *record, size_t len)
{
	static uint8_t out[RECORD_PLAIN_MAX];
	size_t out_len = 0;
	int rc;

	rc = record_open(k, record, len, out, &out_len);
	if (rc != 0)
		return rc;
	CU_ASSERT_EQUAL(out_len, 1);
	return out[0];
}

static void test_what_was_sealed_opens(void)
{
	static const size_t len[] = { 1, 2, 15, 16, 17, 1000, 16383, 16384 };
	static uint8_t plain[RECORD_PLAIN_MAX], record[RECORD_MAX];
	static uint8_t out[RECORD_PLAIN_MAX];
	struct record_key *s = new_key(3), *o = new_key(3);

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		size_t n = 0, whole = 0, back = 0;
		uint64_t number = 0;

		CU_ASSERT_EQUAL(record_seal(s, plain, len[i], record, &n,
		    &number), 0);
		CU_ASSERT_EQUAL(n, len[i] + RECORD_OVERHEAD);
		CU_ASSERT_EQUAL(number, UINT64_C(3) << 48 | i);
		CU_ASSERT_EQUAL(record_number(record), number);
		CU_ASSERT_EQUAL(record_number_generation(number), 3);
		CU_ASSERT_EQUAL(record_peek(record, n, &whole), 0);
		CU_ASSERT_EQUAL(whole, n);
		CU_ASSERT_EQUAL(record_open(o, record, n, out, &back), 0);
		CU_ASSERT_EQUAL(back, len[i]);
		CU_ASSERT_EQUAL(memcmp(out, plain, back), 0);
	}
	CU_ASSERT_EQUAL(record_key_generation(s), 3);
	record_key_free(s);
	record_key_free(o);
}

static void test_the_layout_is_that_of_the_protocol(void)
{
	struct record_key *s = new_key(0x0102);
	struct crypto_aead *a = NULL;
	uint8_t r[SMALL], ad[RECORD_HEAD + RECORD_ID_LEN], sealed[17];
	static const uint8_t head[] = {
		0, 8 + 1 + 16, 0x01, 0x02, 0, 0, 0, 0, 0x03, 0x04
	};

	CU_ASSERT_EQUAL(seal_at(s, 0x0304, 'x', r), sizeof(head) + 17);
	CU_ASSERT_EQUAL(memcmp(r, head, sizeof(head)), 0);
	memcpy(ad, head, sizeof(head));
	memcpy(ad + sizeof(head), id, sizeof(id));
	CU_ASSERT_EQUAL_FATAL(crypto_aead_new(&a, secret), 0);
	CU_ASSERT_EQUAL(crypto_aead_seal(a, UINT64_C(0x0102000000000304), ad,
	    sizeof(ad), "x", 1, sealed), 0);
	CU_ASSERT_EQUAL(memcmp(r + sizeof(head), sealed, sizeof(sealed)), 0);
	crypto_aead_free(a);
	record_key_free(s);
}

static void test_peek_asks_for_more_until_the_head_is_there(void)
{
	struct record_key *s = new_key(0);
	uint8_t r[SMALL];
	size_t len = seal_at(s, 0, 'x', r), whole = 0;

	for (size_t cut = 0; cut < RECORD_HEAD; cut++)
		CU_ASSERT_EQUAL(record_peek(r, cut, &whole), ERR_MORE);
	for (size_t cut = RECORD_HEAD; cut <= len; cut++) {
		CU_ASSERT_EQUAL(record_peek(r, cut, &whole), 0);
		CU_ASSERT_EQUAL(whole, len);
	}
	record_key_free(s);
}

static void test_peek_refuses_lengths_that_no_record_has(void)
{
	static const struct {
		unsigned length;
		int rc;
	} t[] = {
		{ 0, ERR_PROTO }, { 24, ERR_PROTO }, { 25, 0 },
		{ 8 + 16384 + 16, 0 }, { 8 + 16385 + 16, ERR_PROTO },
		{ 0xf101, ERR_PROTO }, { 0xffff, ERR_PROTO },
		{ 'H' << 8 | 'T', ERR_PROTO }, { '<' << 8 | 'h', 0 }
	};
	uint8_t head[RECORD_HEAD] = { 0 };
	size_t whole;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		head[0] = (uint8_t)(t[i].length >> 8);
		head[1] = (uint8_t)t[i].length;
		CU_ASSERT_EQUAL(record_peek(head, sizeof(head), &whole),
		    t[i].rc);
		if (t[i].rc == 0)
			CU_ASSERT_EQUAL(whole, 2 + t[i].length);
	}
}

static void test_a_flipped_bit_anywhere_is_refused(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t r[SMALL];
	size_t len = seal_at(s, 5, 'x', r);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		r[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(open_byte(o, r, len), ERR_CRYPTO);
		r[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT_EQUAL(open_byte(o, r, len), 'x');
	record_key_free(s);
	record_key_free(o);
}

static void test_every_other_length_is_refused(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t r[SMALL];
	size_t len = seal_at(s, 5, 'x', r);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		CU_ASSERT_FATAL(exact != NULL);
		memcpy(exact + 1, r, cut);
		CU_ASSERT_EQUAL(open_byte(o, exact + 1, cut), ERR_CRYPTO);
		free(exact);
	}
	/* Also when the length field agrees with the cut. */
	r[1]--;
	CU_ASSERT_EQUAL(open_byte(o, r, len - 1), ERR_CRYPTO);
	r[1]++;
	r[len] = 0;
	CU_ASSERT_EQUAL(open_byte(o, r, len + 1), ERR_CRYPTO);
	CU_ASSERT_EQUAL(open_byte(o, r, len), 'x');
	record_key_free(s);
	record_key_free(o);
}

static void test_what_is_longer_than_a_record_is_never_written_out(void)
{
	static uint8_t big[RECORD_MAX + 100], out[RECORD_PLAIN_MAX + 100];
	static const uint8_t zero[100];
	struct record_key *s = new_key(1), *o = new_key(1);
	size_t len = seal_at(s, 0, 'x', big), n;

	memset(big + len, 0x5a, sizeof(big) - len);
	CU_ASSERT_EQUAL(record_open(o, big, sizeof(big), out, &n), ERR_CRYPTO);
	CU_ASSERT_EQUAL(memcmp(out + RECORD_PLAIN_MAX, zero, sizeof(zero)), 0);
	record_key_free(s);
	record_key_free(o);
}

static void test_another_session_generation_or_key_does_not_open(void)
{
	static const uint8_t other_id[RECORD_ID_LEN] = { 0xaa, 0xbb, 0xcd };
	static const uint8_t other_secret[32] = { 1, 2, 3, 4, 5, 6, 7, 9 };
	struct record_key *s = new_key(1), *wrong_id = NULL;
	struct record_key *wrong_generation = new_key(2), *wrong_key = NULL;
	uint8_t r[SMALL];
	size_t len = seal_at(s, 0, 'x', r);

	CU_ASSERT_EQUAL_FATAL(record_key_new(&wrong_id, secret, 1, other_id),
	    0);
	CU_ASSERT_EQUAL_FATAL(record_key_new(&wrong_key, other_secret, 1, id),
	    0);
	CU_ASSERT_EQUAL(open_byte(wrong_id, r, len), ERR_CRYPTO);
	CU_ASSERT_EQUAL(open_byte(wrong_generation, r, len), ERR_CRYPTO);
	CU_ASSERT_EQUAL(open_byte(wrong_key, r, len), ERR_CRYPTO);
	record_key_free(s);
	record_key_free(wrong_id);
	record_key_free(wrong_generation);
	record_key_free(wrong_key);
}

static void test_records_open_in_any_order_and_more_than_once(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t r[4][SMALL];
	size_t len = 0;

	for (uint8_t i = 0; i < 4; i++)
		len = seal_at(s, i, (uint8_t)(i + 1), r[i]);
	for (int i = 3; i >= 0; i--)
		CU_ASSERT_EQUAL(open_byte(o, r[i], len), i + 1);
	CU_ASSERT_EQUAL(open_byte(o, r[2], len), 3);
	record_key_free(s);
	record_key_free(o);
}

static void test_the_key_moves_on_with_the_epoch(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t r[SMALL];
	size_t len;

	len = seal_at(s, EPOCH - 1, 1, r);
	CU_ASSERT_EQUAL(open_byte(o, r, len), 1);
	for (uint8_t i = 1; i <= 5; i++) {
		len = seal_at(s, i * EPOCH, i, r);
		CU_ASSERT_EQUAL(open_byte(o, r, len), i);
		len = seal_at(s, (i + 1u) * EPOCH - 1, i, r);
		CU_ASSERT_EQUAL(open_byte(o, r, len), i);
	}
	record_key_free(s);
	record_key_free(o);
}

static void test_both_sides_of_an_epoch_border_may_mix(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t before[2][SMALL], after[2][SMALL];
	size_t len;

	seal_at(s, EPOCH - 2, 1, before[0]);
	seal_at(s, EPOCH - 1, 2, before[1]);
	seal_at(s, EPOCH, 3, after[0]);
	len = seal_at(s, EPOCH + 1, 4, after[1]);
	CU_ASSERT_EQUAL(open_byte(o, after[1], len), 4);
	CU_ASSERT_EQUAL(open_byte(o, before[1], len), 2);
	CU_ASSERT_EQUAL(open_byte(o, after[0], len), 3);
	CU_ASSERT_EQUAL(open_byte(o, before[0], len), 1);
	record_key_free(s);
	record_key_free(o);
}

static void test_two_epochs_back_is_refused(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t r[3][SMALL];
	size_t len = 0;

	for (uint8_t i = 0; i < 3; i++)
		len = seal_at(s, i * EPOCH, (uint8_t)(i + 1), r[i]);
	CU_ASSERT_EQUAL(open_byte(o, r[1], len), 2);
	CU_ASSERT_EQUAL(open_byte(o, r[0], len), 1);
	CU_ASSERT_EQUAL(open_byte(o, r[2], len), 3);
	CU_ASSERT_EQUAL(open_byte(o, r[0], len), ERR_CRYPTO);
	CU_ASSERT_EQUAL(open_byte(o, r[1], len), 2);
	record_key_free(s);
	record_key_free(o);
}

static void test_an_epoch_may_not_be_skipped(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t r[SMALL], forged[SMALL];
	size_t len = seal_at(s, 2 * EPOCH, 7, r);

	CU_ASSERT_EQUAL(open_byte(o, r, len), ERR_CRYPTO);
	/* The farthest one; were keys derived for it, this took minutes. */
	memcpy(forged, r, len);
	memset(forged + 4, 0xff, 6);
	CU_ASSERT_EQUAL(open_byte(o, forged, len), ERR_CRYPTO);
	record_key_free(s);
	record_key_free(o);
}

static void test_a_forged_number_leaves_the_keys_alone(void)
{
	struct record_key *s = new_key(1), *o = new_key(1);
	uint8_t old[SMALL], r[SMALL], forged[SMALL];
	size_t len;

	len = seal_at(s, 0, 1, old);
	seal_at(s, EPOCH, 2, r);
	for (int i = 0; i < 3; i++) {
		memcpy(forged, r, len);
		forged[len - 1] ^= 1;
		CU_ASSERT_EQUAL(open_byte(o, forged, len), ERR_CRYPTO);
		/* Had the epoch moved twice, epoch 0 would be gone. */
		CU_ASSERT_EQUAL(open_byte(o, old, len), 1);
	}
	CU_ASSERT_EQUAL(open_byte(o, r, len), 2);
	seal_at(s, 2 * EPOCH, 3, r);
	CU_ASSERT_EQUAL(open_byte(o, r, len), 3);
	record_key_free(s);
	record_key_free(o);
}

static void test_sealing_ends_when_the_numbers_are_used_up(void)
{
	struct record_key *s = new_key(0xffff);
	uint8_t r[SMALL], plain = 1;
	uint64_t number = 77;
	size_t len = 77;

	record_key_set_next(s, (UINT64_C(1) << 48) - 1);
	CU_ASSERT_EQUAL(record_seal(s, &plain, 1, r, &len, &number),
	    ERR_LIMIT);
	CU_ASSERT_EQUAL(record_seal(s, &plain, 1, r, &len, &number),
	    ERR_LIMIT);
	CU_ASSERT_EQUAL(len, 77);
	CU_ASSERT_EQUAL(number, 77);
	record_key_free(s);
}

static void test_freeing_nothing_is_harmless(void)
{
	record_key_free(NULL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "what was sealed opens", test_what_was_sealed_opens },
		{ "the layout is that of the protocol",
		    test_the_layout_is_that_of_the_protocol },
		{ "peek asks for more until the head is there",
		    test_peek_asks_for_more_until_the_head_is_there },
		{ "peek refuses lengths that no record has",
		    test_peek_refuses_lengths_that_no_record_has },
		{ "a flipped bit anywhere is refused",
		    test_a_flipped_bit_anywhere_is_refused },
		{ "every other length is refused",
		    test_every_other_length_is_refused },
		{ "what is longer than a record is never written out",
		    test_what_is_longer_than_a_record_is_never_written_out },
		{ "another session, generation or key does not open",
		    test_another_session_generation_or_key_does_not_open },
		{ "records open in any order and more than once",
		    test_records_open_in_any_order_and_more_than_once },
		{ "the key moves on with the epoch",
		    test_the_key_moves_on_with_the_epoch },
		{ "both sides of an epoch border may mix",
		    test_both_sides_of_an_epoch_border_may_mix },
		{ "two epochs back is refused",
		    test_two_epochs_back_is_refused },
		{ "an epoch may not be skipped",
		    test_an_epoch_may_not_be_skipped },
		{ "a forged number leaves the keys alone",
		    test_a_forged_number_leaves_the_keys_alone },
		{ "sealing ends when the numbers are used up",
		    test_sealing_ends_when_the_numbers_are_used_up },
		{ "freeing nothing is harmless",
		    test_freeing_nothing_is_harmless },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
