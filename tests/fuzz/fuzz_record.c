/*
 * The record's parser. The first byte of the input says how the rest is used:
 * as a record that has arrived, or as frames that are sealed under a key of
 * the same session, damaged or not, and then opened. Only the latter gets
 * past the authentication.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t secret[32] = { 0x4e, 0x52, 0x50, 0x43 };
static const uint8_t id[RECORD_ID_LEN] = { 1, 2, 3 };
static uint8_t plain[RECORD_PLAIN_MAX];

static void check(int ok)
{
	if (!ok)
		abort();
}

/* Nobody can make a record without the key. */
static void open_foreign(struct record_key *k, const uint8_t *data, size_t len)
{
	size_t whole = 0, n = 0;
	int rc;

	rc = record_peek(data, len, &whole);
	check(rc == 0 || rc == ERR_PROTO || rc == ERR_MORE);
	check((rc == ERR_MORE) == (len < RECORD_HEAD));
	if (rc == 0) {
		check(whole > RECORD_OVERHEAD && whole <= RECORD_MAX);
		(void)record_number_generation(record_number(data));
	}
	check(record_open(k, data, len, plain, &n) == ERR_CRYPTO);
	if (rc == 0 && whole < len)
		check(record_open(k, data, whole, plain, &n) == ERR_CRYPTO);
}

/*
 * data: epoch (1), position of the damage (2), what is flipped there (1), and
 * the frames. Opens exactly if undamaged and of the first two epochs.
 */
static void open_own(struct record_key *k, const uint8_t *data, size_t len)
{
	static uint8_t record[RECORD_MAX];
	struct record_key *s;
	uint64_t number, epoch = data[0] & 3u;
	size_t n = 0, out_len = 0, at, plain_len = len - 4;
	int rc;

	if (plain_len > RECORD_PLAIN_MAX)
		plain_len = RECORD_PLAIN_MAX;
	check(record_key_new(&s, secret, 0, id) == 0);
	record_key_set_next(s, epoch << RECORD_EPOCH_BITS);
	check(record_seal(s, data + 4, plain_len, record, &n, &number) == 0);
	at = (size_t)(data[1] << 8 | data[2]) % n;
	record[at] ^= data[3];
	rc = record_open(k, record, n, plain, &out_len);
	if (data[3] != 0 || epoch > 1) {
		check(rc == ERR_CRYPTO);
	} else {
		check(rc == 0 && out_len == plain_len);
		check(memcmp(plain, data + 4, plain_len) == 0);
	}
	record_key_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct record_key *k;

	if (len < 1)
		return 0;
	check(record_key_new(&k, secret, 0, id) == 0);
	if ((data[0] & 1) == 0)
		open_foreign(k, data + 1, len - 1);
	else if (len > 1 + 4)
		open_own(k, data + 1, len - 1);
	record_key_free(k);
	return 0;
}
