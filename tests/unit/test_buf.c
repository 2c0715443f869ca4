#include "config.h"

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "tests/unit/unit.h"

static void test_queue(void)
{
	struct buf b;

	buf_init(&b, 100);
	CU_ASSERT_EQUAL(buf_len(&b), 0);
	CU_ASSERT_EQUAL(buf_append(&b, "hello ", 6), 0);
	CU_ASSERT_EQUAL(buf_append(&b, "world", 5), 0);
	CU_ASSERT_EQUAL(buf_len(&b), 11);
	CU_ASSERT_EQUAL(memcmp(buf_data(&b), "hello world", 11), 0);
	buf_consume(&b, 6);
	CU_ASSERT_EQUAL(buf_len(&b), 5);
	CU_ASSERT_EQUAL(memcmp(buf_data(&b), "world", 5), 0);
	buf_truncate(&b, 2);
	CU_ASSERT_EQUAL(memcmp(buf_data(&b), "wo", 2), 0);
	CU_ASSERT_EQUAL(buf_room(&b), 98);
	buf_clear(&b);
	CU_ASSERT_EQUAL(buf_len(&b), 0);
	CU_ASSERT_EQUAL(buf_room(&b), 100);
	buf_fini(&b);
}

static void test_cap(void)
{
	struct buf b;
	uint8_t *p;

	buf_init(&b, 10);
	CU_ASSERT_EQUAL(buf_append(&b, "01234567890", 11), ERR_LIMIT);
	CU_ASSERT_EQUAL(buf_len(&b), 0);
	CU_ASSERT_EQUAL(buf_append(&b, "0123456789", 10), 0);
	CU_ASSERT_EQUAL(buf_append(&b, "x", 1), ERR_LIMIT);
	CU_ASSERT_EQUAL(buf_reserve(&b, 1, &p), ERR_LIMIT);
	CU_ASSERT_EQUAL(buf_append(&b, NULL, 0), 0);
	CU_ASSERT_EQUAL(memcmp(buf_data(&b), "0123456789", 10), 0);
	buf_consume(&b, 4);
	CU_ASSERT_EQUAL(buf_append(&b, "abcde", 5), ERR_LIMIT);
	CU_ASSERT_EQUAL(buf_append(&b, "abcd", 4), 0);
	CU_ASSERT_EQUAL(memcmp(buf_data(&b), "456789abcd", 10), 0);
	buf_fini(&b);
}

static void test_reserve(void)
{
	struct buf b;
	uint8_t *p;

	buf_init(&b, 1000);
	CU_ASSERT_EQUAL_FATAL(buf_reserve(&b, 600, &p), 0);
	CU_ASSERT_EQUAL(buf_len(&b), 0);
	memset(p, 'a', 600);
	buf_commit(&b, 200);
	CU_ASSERT_EQUAL(buf_len(&b), 200);
	CU_ASSERT_EQUAL_FATAL(buf_reserve(&b, 800, &p), 0);
	memset(p, 'b', 800);
	buf_commit(&b, 800);
	CU_ASSERT_EQUAL(buf_len(&b), 1000);
	CU_ASSERT_EQUAL(buf_data(&b)[199], 'a');
	CU_ASSERT_EQUAL(buf_data(&b)[200], 'b');
	CU_ASSERT_EQUAL(buf_room(&b), 0);
	buf_fini(&b);
}

/* A model with nothing to go wrong: what goes in counts up, also coming out. */
static void test_churn(void)
{
	uint32_t seed = 1;
	uint8_t in = 0, out = 0, chunk[700];
	struct buf b;

	buf_init(&b, 5000);
	for (int i = 0; i < 20000; i++) {
		size_t n;

		seed = seed * 1103515245 + 12345;
		n = (seed >> 16) % sizeof(chunk);
		if (n <= buf_room(&b)) {
			for (size_t k = 0; k < n; k++)
				chunk[k] = (uint8_t)(in + k);
			CU_ASSERT_EQUAL(buf_append(&b, chunk, n), 0);
			in = (uint8_t)(in + n);
		}
		n = (seed >> 8) % (buf_len(&b) + 1);
		for (size_t k = 0; k < n; k++)
			if (buf_data(&b)[k] != out++)
				CU_FAIL_FATAL("bytes differ");
		buf_consume(&b, n);
	}
	CU_ASSERT_TRUE(b.size <= 7500);
	buf_fini(&b);
}

static void test_fini(void)
{
	struct buf b;

	buf_init(&b, 50);
	CU_ASSERT_PTR_NOT_NULL(buf_data(&b));
	buf_fini(&b);
	CU_ASSERT_EQUAL(buf_append(&b, "again", 5), 0);
	buf_fini(&b);
	CU_ASSERT_EQUAL(buf_len(&b), 0);
	CU_ASSERT_EQUAL(buf_room(&b), 50);
	buf_fini(&b);
}

static void test_huge(void)
{
	struct buf b;
	uint8_t *p;

	buf_init(&b, SIZE_MAX);
	CU_ASSERT_EQUAL(buf_append(&b, "x", 1), 0);
	CU_ASSERT_EQUAL(buf_reserve(&b, SIZE_MAX, &p), ERR_LIMIT);
	CU_ASSERT_EQUAL(buf_append(&b, "y", 1), 0);
	CU_ASSERT_EQUAL(memcmp(buf_data(&b), "xy", 2), 0);
	buf_fini(&b);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "bytes come out as they went in", test_queue },
		{ "the content never exceeds the cap", test_cap },
		{ "reserved room counts only once committed", test_reserve },
		{ "long use moves and grows without losing a byte",
		    test_churn },
		{ "a finished buffer is empty and can be used again",
		    test_fini },
		{ "a cap without limit does not overflow", test_huge },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
