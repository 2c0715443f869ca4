#include "config.h"

#include "common/sendq.h"

#include <string.h>

#include "common/err.h"
#include "tests/unit/unit.h"

static struct page_pool pool;
static struct sendq q;

static void setup(uint64_t limit)
{
	page_pool_init(&pool, 8);
	sendq_init(&q, &pool, limit);
}

static void teardown(void)
{
	sendq_fini(&q);
	CU_ASSERT_EQUAL(pool.used, 0);
	page_pool_fini(&pool);
}

static struct sendq_piece take(size_t max)
{
	struct sendq_piece p = { 0 };

	CU_ASSERT_TRUE_FATAL(sendq_next(&q, max, &p));
	sendq_took(&q, &p);
	return p;
}

static void test_sends_in_order_up_to_the_limit(void)
{
	struct sendq_piece p;
	char out[8] = { 0 };

	setup(6);
	CU_ASSERT_EQUAL(sendq_write(&q, "abcdefgh", 8), 0);
	CU_ASSERT_EQUAL(sendq_backlog(&q), 6);
	p = take(4);
	CU_ASSERT_EQUAL(p.offset, 0);
	CU_ASSERT_EQUAL(p.len, 4);
	sendq_read(&q, &p, out);
	CU_ASSERT_EQUAL(memcmp(out, "abcd", 4), 0);
	p = take(100);
	CU_ASSERT_EQUAL(p.offset, 4);
	CU_ASSERT_EQUAL(p.len, 2);
	CU_ASSERT_FALSE(sendq_has_work(&q));
	sendq_widen(&q, 8);
	sendq_widen(&q, 7);		/* never back */
	p = take(100);
	CU_ASSERT_EQUAL(p.offset, 6);
	CU_ASSERT_EQUAL(p.len, 2);
	teardown();
}

static void test_end_of_stream_costs_no_credit(void)
{
	struct sendq_piece p;

	setup(3);
	CU_ASSERT_EQUAL(sendq_write(&q, "abc", 3), 0);
	p = take(100);
	CU_ASSERT_FALSE(p.fin);
	sendq_finish(&q);
	CU_ASSERT_EQUAL(sendq_write(&q, "d", 1), ERR_STATE);
	p = take(0);
	CU_ASSERT_TRUE(p.fin);
	CU_ASSERT_EQUAL(p.offset, 3);
	CU_ASSERT_EQUAL(p.len, 0);
	CU_ASSERT_FALSE(sendq_has_work(&q));
	teardown();
}

static void test_the_end_waits_for_the_bytes_before_it(void)
{
	struct sendq_piece p;

	setup(2);
	CU_ASSERT_EQUAL(sendq_write(&q, "abc", 3), 0);
	sendq_finish(&q);
	p = take(100);
	CU_ASSERT_FALSE(p.fin);
	CU_ASSERT_FALSE(sendq_has_work(&q));
	sendq_widen(&q, 3);
	p = take(100);
	CU_ASSERT_TRUE(p.fin);
	teardown();
}

static void test_lost_pieces_go_again_before_new_ones(void)
{
	struct sendq_piece a, b, p;

	setup(100);
	CU_ASSERT_EQUAL(sendq_write(&q, "abcdef", 6), 0);
	a = take(2);
	b = take(2);
	sendq_on_lost(&q, &a);
	p = take(100);
	CU_ASSERT_EQUAL(p.offset, 0);
	CU_ASSERT_EQUAL(p.len, 2);
	p = take(100);
	CU_ASSERT_EQUAL(p.offset, 4);
	sendq_on_acked(&q, &b);
	CU_ASSERT_EQUAL(sendq_kept(&q), 6);
	sendq_on_acked(&q, &a);
	CU_ASSERT_EQUAL(sendq_kept(&q), 2);
	teardown();
}

static void test_what_was_acknowledged_is_not_lost_any_more(void)
{
	struct sendq_piece whole = { 0, 6, false }, mid = { 2, 2, false }, p;

	setup(100);
	CU_ASSERT_EQUAL(sendq_write(&q, "abcdef", 6), 0);
	(void)take(6);
	sendq_on_acked(&q, &mid);
	sendq_on_lost(&q, &whole);
	p = take(100);
	CU_ASSERT_EQUAL(p.offset, 0);
	CU_ASSERT_EQUAL(p.len, 2);
	p = take(100);
	CU_ASSERT_EQUAL(p.offset, 4);
	CU_ASSERT_EQUAL(p.len, 2);
	CU_ASSERT_FALSE(sendq_has_work(&q));
	teardown();
}

static void test_a_late_acknowledgement_stops_a_repetition(void)
{
	struct sendq_piece p;

	setup(100);
	CU_ASSERT_EQUAL(sendq_write(&q, "abcdef", 6), 0);
	p = take(6);
	sendq_on_lost(&q, &p);
	sendq_on_acked(&q, &p);
	CU_ASSERT_FALSE(sendq_has_work(&q));
	CU_ASSERT_EQUAL(sendq_kept(&q), 0);
	teardown();
}

static void test_a_lost_end_goes_again_until_acknowledged(void)
{
	struct sendq_piece p;

	setup(100);
	CU_ASSERT_EQUAL(sendq_write(&q, "ab", 2), 0);
	sendq_finish(&q);
	p = take(100);
	CU_ASSERT_TRUE(p.fin);
	sendq_on_lost(&q, &p);
	p = take(100);
	CU_ASSERT_TRUE(p.fin);
	CU_ASSERT_FALSE(sendq_is_done(&q));
	sendq_on_acked(&q, &p);
	CU_ASSERT_TRUE(sendq_is_done(&q));
	sendq_on_lost(&q, &p);		/* too late to matter */
	CU_ASSERT_TRUE(sendq_is_done(&q));
	CU_ASSERT_FALSE(sendq_has_work(&q));
	teardown();
}

/* Every other byte acknowledged: more holes than are kept count. */
static void test_too_many_holes_only_cost_repetitions(void)
{
	static uint8_t data[8192];
	struct sendq_piece p;
	uint64_t again = 0;

	setup(sizeof(data));
	CU_ASSERT_EQUAL(sendq_write(&q, data, sizeof(data)), 0);
	while (sendq_has_work(&q))
		(void)take(1);
	for (uint64_t i = 1; i < sizeof(data); i += 2) {
		p = (struct sendq_piece){ i, 1, false };
		sendq_on_acked(&q, &p);
	}
	p = (struct sendq_piece){ 0, sizeof(data), false };
	sendq_on_lost(&q, &p);
	while (sendq_has_work(&q)) {
		p = take(512);
		sendq_on_acked(&q, &p);
		again += p.len;
	}
	CU_ASSERT_TRUE(again >= sizeof(data) / 2);
	CU_ASSERT_EQUAL(sendq_kept(&q), 0);
	teardown();
}

static void test_keeps_no_page_when_all_is_acknowledged(void)
{
	struct sendq_piece a, b;
	char out[2];

	setup(100);
	CU_ASSERT_EQUAL(sendq_write(&q, "abcd", 4), 0);
	a = take(2);
	b = take(2);
	sendq_on_acked(&q, &a);
	CU_ASSERT_EQUAL(pool.used, 1);
	sendq_on_acked(&q, &b);
	CU_ASSERT_EQUAL(pool.used, 0);
	CU_ASSERT_EQUAL(sendq_write(&q, "ef", 2), 0);
	a = take(2);
	sendq_read(&q, &a, out);
	CU_ASSERT_EQUAL(memcmp(out, "ef", 2), 0);
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "sends in order up to the limit",
		    test_sends_in_order_up_to_the_limit },
		{ "end of stream costs no credit",
		    test_end_of_stream_costs_no_credit },
		{ "the end waits for the bytes before it",
		    test_the_end_waits_for_the_bytes_before_it },
		{ "lost pieces go again before new ones",
		    test_lost_pieces_go_again_before_new_ones },
		{ "what was acknowledged is not lost any more",
		    test_what_was_acknowledged_is_not_lost_any_more },
		{ "a late acknowledgement stops a repetition",
		    test_a_late_acknowledgement_stops_a_repetition },
		{ "a lost end goes again until acknowledged",
		    test_a_lost_end_goes_again_until_acknowledged },
		{ "too many holes only cost repetitions",
		    test_too_many_holes_only_cost_repetitions },
		{ "keeps no page when all is acknowledged",
		    test_keeps_no_page_when_all_is_acknowledged },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
