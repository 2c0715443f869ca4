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

static struct budget *full_one, *full_by;
static unsigned fulls;

static void on_full(struct budget *b, struct budget *by)
{
	fulls++;
	full_one = b;
	full_by = by;
}

static void test_becoming_full_is_told_once_until_there_is_room_again(void)
{
	const uint64_t max = 1u << 20, least = BUDGET_LEAST;
	struct budget all = { .max = 2 * max, .on_full = on_full };
	struct budget one = { .above = &all, .max = max, .on_full = on_full };
	struct budget two = { .above = &all, .max = 2 * max };

	fulls = 0;
	budget_charge(&one, max - least);
	CU_ASSERT_EQUAL(fulls, 0);
	budget_charge(&one, 1);
	CU_ASSERT_EQUAL(fulls, 1);
	CU_ASSERT_PTR_EQUAL(full_one, &one);
	CU_ASSERT_PTR_EQUAL(full_by, &one);
	budget_charge(&one, max);		/* what must go on, does */
	budget_release(&one, max + least);
	budget_charge(&one, least);		/* to and fro: still full */
	CU_ASSERT_EQUAL(fulls, 2);		/* all: the highest, once */
	CU_ASSERT_PTR_EQUAL(full_one, &all);
	budget_release(&one, max / 4);
	budget_charge(&one, max / 4);
	CU_ASSERT_EQUAL(fulls, 3);
	CU_ASSERT_PTR_EQUAL(full_one, &one);
	budget_charge(&two, max);
	CU_ASSERT_EQUAL(fulls, 4);
	CU_ASSERT_PTR_EQUAL(full_one, &all);
	CU_ASSERT_PTR_EQUAL(full_by, &two);
	budget_charge(&two, 0);			/* nothing is no reason */
	CU_ASSERT_EQUAL(fulls, 4);
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
		{ "becoming full is told once until there is room again",
		    test_becoming_full_is_told_once_until_there_is_room_again },
		{ "none is no bound", test_none_is_no_bound },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
