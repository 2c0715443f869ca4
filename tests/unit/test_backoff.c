#include "config.h"

#include "common/backoff.h"
#include "tests/unit/unit.h"

static void test_grows(void)
{
	struct backoff b;

	backoff_init(&b, 100, 1000);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 100);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 150);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 225);
	CU_ASSERT_EQUAL(backoff_next(&b, 0), 168);
	for (int i = 0; i < 50; i++)
		(void)backoff_next(&b, 0);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 1000);
	CU_ASSERT_EQUAL(backoff_next(&b, 0), 500);
}

static void test_jitter(void)
{
	unsigned quarter[4] = { 0 };
	uint32_t seed = 3;

	for (int i = 0; i < 4000; i++) {
		struct backoff b;
		uint32_t ms;

		backoff_init(&b, 4000, 9000);
		seed = seed * 1664525 + 1013904223;
		ms = backoff_next(&b, seed);
		CU_ASSERT_TRUE_FATAL(ms >= 2000 && ms <= 4000);
		quarter[(ms - 2000) / 501]++;
	}
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(quarter[i] > 800 && quarter[i] < 1200);
}

static void test_reset(void)
{
	struct backoff b;

	backoff_init(&b, 100, 1000);
	for (int i = 0; i < 10; i++)
		(void)backoff_next(&b, 0);
	backoff_reset(&b);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 100);
}

static void test_odd_settings(void)
{
	struct backoff b;

	backoff_init(&b, 5000, 300);		/* base above the cap */
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 300);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 300);
	backoff_init(&b, 1, 1000);		/* the half of 1 is 0 */
	for (int i = 0; i < 50; i++)
		(void)backoff_next(&b, 0);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 1000);
	backoff_init(&b, UINT32_MAX - 1, UINT32_MAX);
	(void)backoff_next(&b, 0);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), UINT32_MAX);
	backoff_init(&b, 0, 0);
	CU_ASSERT_EQUAL(backoff_next(&b, UINT32_MAX), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "waits grow by half each time, up to the cap", test_grows },
		{ "a wait lies evenly between half and whole", test_jitter },
		{ "success begins again with the first wait", test_reset },
		{ "extreme settings neither overflow nor stand still",
		    test_odd_settings },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
