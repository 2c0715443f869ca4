/* Rates and bursts; time is what the test says. */
#include "config.h"

#include "common/bucket.h"

#include "tests/unit/unit.h"

static unsigned take_all(struct bucket *b, uint64_t rate, uint64_t burst,
    uint64_t now_ms)
{
	unsigned n = 0;

	while (n < 2 * BUCKET_MAX && bucket_take(b, rate, burst, now_ms))
		n++;
	return n;
}

static void test_a_burst_and_then_the_rate(void)
{
	struct bucket b;
	unsigned n = 0;

	bucket_init(&b, 5, 1000);
	CU_ASSERT_EQUAL(take_all(&b, 10, 5, 1000), 5);
	CU_ASSERT_FALSE(bucket_take(&b, 10, 5, 1099));
	CU_ASSERT_TRUE(bucket_take(&b, 10, 5, 1100));
	CU_ASSERT_FALSE(bucket_take(&b, 10, 5, 1100));
	/* However often it is asked, no fraction is lost or won. */
	for (uint64_t at = 1100; at <= 11100; at++)
		n += bucket_take(&b, 10, 5, at);
	CU_ASSERT_EQUAL(n, 100);
}

static void test_it_fills_up_to_the_burst_and_no_further(void)
{
	struct bucket b;

	bucket_init(&b, 5, 0);
	CU_ASSERT_TRUE(bucket_is_full(&b, 10, 5, 0));
	CU_ASSERT_EQUAL(take_all(&b, 10, 5, 0), 5);
	CU_ASSERT_FALSE(bucket_is_full(&b, 10, 5, 499));
	CU_ASSERT_TRUE(bucket_is_full(&b, 10, 5, 500));
	CU_ASSERT_EQUAL(take_all(&b, 10, 5, 100000), 5);
	CU_ASSERT_EQUAL(take_all(&b, 10, 5, UINT64_MAX), 5);
}

static void test_other_limits_count_from_now_on(void)
{
	struct bucket b;

	bucket_init(&b, 100, 0);
	CU_ASSERT_EQUAL(take_all(&b, 1, 3, 0), 3);
	CU_ASSERT_EQUAL(take_all(&b, 1, 3, 1000), 1);
	CU_ASSERT_EQUAL(take_all(&b, 1000, 1000, 2000), 1000);
	CU_ASSERT_EQUAL(take_all(&b, BUCKET_MAX, BUCKET_MAX, 3000),
	    BUCKET_MAX);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a burst, and then the rate",
		    test_a_burst_and_then_the_rate },
		{ "it fills up to the burst and no further",
		    test_it_fills_up_to_the_burst_and_no_further },
		{ "other limits count from now on",
		    test_other_limits_count_from_now_on },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
