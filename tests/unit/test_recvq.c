#include "config.h"

#include "common/recvq.h"

#include <string.h>

#include "common/err.h"
#include "tests/unit/unit.h"

static struct page_pool pool;
static struct recvq q;
static bool fresh;

static void setup(uint64_t limit)
{
	page_pool_init(&pool, 8);
	recvq_init(&q, &pool, limit);
}

static void teardown(void)
{
	recvq_fini(&q);
	CU_ASSERT_EQUAL(pool.used, 0);
	page_pool_fini(&pool);
}

static void expect(const char *text)
{
	char out[64] = { 0 };
	size_t n = recvq_copy(&q, out, sizeof(out) - 1);

	CU_ASSERT_EQUAL(n, strlen(text));
	CU_ASSERT_STRING_EQUAL(out, text);
}

static void test_pieces_in_any_order_come_out_in_order(void)
{
	setup(100);
	CU_ASSERT_EQUAL(recvq_write(&q, 4, "ef", 2, true, &fresh), 0);
	CU_ASSERT_FALSE(fresh);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "ab", 2, false, &fresh), 0);
	CU_ASSERT_TRUE(fresh);
	expect("ab");
	CU_ASSERT_EQUAL(recvq_write(&q, 2, "cd", 2, false, &fresh), 0);
	CU_ASSERT_TRUE(fresh);
	expect("abcdef");
	CU_ASSERT_FALSE(recvq_at_end(&q));
	recvq_consume(&q, 6);
	CU_ASSERT_TRUE(recvq_at_end(&q));
	teardown();
}

static void test_repetitions_and_overlaps_change_nothing(void)
{
	setup(100);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "abc", 3, false, &fresh), 0);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "XYZ", 3, false, &fresh), 0);
	CU_ASSERT_FALSE(fresh);
	CU_ASSERT_EQUAL(recvq_write(&q, 1, "YZde", 4, false, &fresh), 0);
	CU_ASSERT_TRUE(fresh);
	expect("abcde");
	recvq_consume(&q, 2);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "XYZZY", 5, false, &fresh), 0);
	CU_ASSERT_FALSE(fresh);
	expect("cde");
	CU_ASSERT_EQUAL(recvq_kept(&q), 3);
	teardown();
}

static void test_nothing_beyond_the_limit_is_taken(void)
{
	setup(4);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "abcde", 5, false, &fresh),
	    ERR_PROTO);
	CU_ASSERT_EQUAL(recvq_write(&q, 5, "", 0, true, &fresh), ERR_PROTO);
	CU_ASSERT_EQUAL(recvq_write(&q, UINT64_MAX - 1, "ab", 2, false,
	    &fresh), ERR_PROTO);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "abcd", 4, true, &fresh), 0);
	expect("abcd");
	teardown();
}

static void test_the_end_cannot_move(void)
{
	setup(100);
	CU_ASSERT_EQUAL(recvq_write(&q, 2, "cd", 2, false, &fresh), 0);
	CU_ASSERT_EQUAL(recvq_write(&q, 1, "b", 1, true, &fresh), ERR_PROTO);
	CU_ASSERT_EQUAL(recvq_write(&q, 4, "", 0, true, &fresh), 0);
	CU_ASSERT_EQUAL(recvq_write(&q, 4, "e", 1, false, &fresh), ERR_PROTO);
	CU_ASSERT_EQUAL(recvq_write(&q, 5, "", 0, true, &fresh), ERR_PROTO);
	CU_ASSERT_EQUAL(recvq_write(&q, 4, "", 0, true, &fresh), 0);
	CU_ASSERT_FALSE(fresh);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "ab", 2, false, &fresh), 0);
	expect("abcd");
	teardown();
}

static void test_an_end_alone_is_news(void)
{
	setup(0);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "", 0, true, &fresh), 0);
	CU_ASSERT_TRUE(fresh);
	CU_ASSERT_TRUE(recvq_at_end(&q));
	teardown();
}

static void test_holes_are_bounded(void)
{
	int rc = 0;

	setup(1u << 20);
	for (uint64_t at = 1; rc == 0 && at < (1u << 20); at += 2)
		rc = recvq_write(&q, at, "x", 1, false, &fresh);
	CU_ASSERT_EQUAL(rc, ERR_LIMIT);
	teardown();
}

static void test_peek_walks_through_pages(void)
{
	static uint8_t data[3 * PAGES_SIZE];
	const uint8_t *p;
	size_t n, total = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	setup(sizeof(data));
	CU_ASSERT_EQUAL(recvq_write(&q, 0, data, sizeof(data), false,
	    &fresh), 0);
	while ((n = recvq_peek(&q, &p)) > 0) {
		CU_ASSERT_EQUAL(memcmp(p, data + total, n), 0);
		recvq_consume(&q, n);
		total += n;
	}
	CU_ASSERT_EQUAL(total, sizeof(data));
	CU_ASSERT_EQUAL(pool.used, 0);
	teardown();
}

static void test_keeps_no_page_when_all_is_read(void)
{
	setup(100);
	CU_ASSERT_EQUAL(recvq_write(&q, 0, "ab", 2, false, &fresh), 0);
	CU_ASSERT_EQUAL(recvq_write(&q, 4, "ef", 2, false, &fresh), 0);
	recvq_consume(&q, 2);
	CU_ASSERT_EQUAL(pool.used, 1);	/* for what came early */
	CU_ASSERT_EQUAL(recvq_write(&q, 2, "cd", 2, false, &fresh), 0);
	expect("cdef");
	recvq_consume(&q, 4);
	CU_ASSERT_EQUAL(pool.used, 0);
	CU_ASSERT_EQUAL(recvq_write(&q, 6, "gh", 2, false, &fresh), 0);
	expect("gh");
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "pieces in any order come out in order",
		    test_pieces_in_any_order_come_out_in_order },
		{ "repetitions and overlaps change nothing",
		    test_repetitions_and_overlaps_change_nothing },
		{ "nothing beyond the limit is taken",
		    test_nothing_beyond_the_limit_is_taken },
		{ "the end cannot move", test_the_end_cannot_move },
		{ "an end alone is news", test_an_end_alone_is_news },
		{ "holes are bounded", test_holes_are_bounded },
		{ "peek walks through pages", test_peek_walks_through_pages },
		{ "keeps no page when all is read",
		    test_keeps_no_page_when_all_is_read },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
