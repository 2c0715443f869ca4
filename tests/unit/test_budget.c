/* Bytes that several share. */
#include "config.h"

#include "common/budget.h"

#include <stddef.h>

#include "tests/unit/unit.h"

static void test_the_tightest_level_counts(void)
{
	struct budget all = { .max = 100 };
	struct budget one = { .above = &all, .max = 60 };
	struct budget two = { .above = &all, .max = 60 };

	CU_ASSERT_EQUAL(budget_room(&one), 60);
	budget_charge(&one, 50);
	CU_ASSERT_EQUAL(budget_room(&one), 10);
	CU_ASSERT_EQUAL(budget_room(&two), 50);
	budget_charge(&two, 50);
	CU_ASSERT_EQUAL(budget_room(&one), 0);
	CU_ASSERT_EQUAL(budget_room(&two), 0);
	budget_release(&one, 50);
	CU_ASSERT_EQUAL(budget_room(&two), 10);
	CU_ASSERT_EQUAL(all.used, 50);
}

static void test_more_than_there_is_leaves_no_room(void)
{
	struct budget all = { .max = 100 };

	budget_charge(&all, 150);
	CU_ASSERT_EQUAL(budget_room(&all), 0);
	budget_release(&all, 120);
	CU_ASSERT_EQUAL(budget_room(&all), 70);
}

static void test_none_is_no_bound(void)
{
	budget_charge(NULL, 5);
	budget_release(NULL, 5);
	CU_ASSERT_EQUAL(budget_room(NULL), UINT64_MAX);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "the tightest level counts",
		    test_the_tightest_level_counts },
		{ "more than there is leaves no room",
		    test_more_than_there_is_leaves_no_room },
		{ "none is no bound", test_none_is_no_bound },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
