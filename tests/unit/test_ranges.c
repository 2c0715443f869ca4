#include "config.h"

#include "common/err.h"
#include "common/ranges.h"
#include "tests/unit/unit.h"

/* Is the set exactly these n ranges? */
static bool is(const struct ranges *s, const struct range *want, size_t n)
{
	if (s->count != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s->r[i].from != want[i].from || s->r[i].to != want[i].to)
			return false;
	return true;
}

#define IS(s, ...) \
	is(s, (const struct range[]){ __VA_ARGS__ }, \
	    sizeof((const struct range[]){ __VA_ARGS__ }) / \
	    sizeof(struct range))

static void test_add(void)
{
	struct ranges s;

	ranges_init(&s, 10);
	CU_ASSERT_EQUAL(ranges_add(&s, 10, 20), 0);
	CU_ASSERT_EQUAL(ranges_add(&s, 30, 40), 0);
	CU_ASSERT_EQUAL(ranges_add(&s, 0, 5), 0);
	CU_ASSERT_TRUE(IS(&s, { 0, 5 }, { 10, 20 }, { 30, 40 }));
	CU_ASSERT_EQUAL(ranges_add(&s, 20, 22), 0);	/* touches below */
	CU_ASSERT_EQUAL(ranges_add(&s, 28, 30), 0);	/* touches above */
	CU_ASSERT_TRUE(IS(&s, { 0, 5 }, { 10, 22 }, { 28, 40 }));
	CU_ASSERT_EQUAL(ranges_add(&s, 22, 28), 0);	/* closes the hole */
	CU_ASSERT_TRUE(IS(&s, { 0, 5 }, { 10, 40 }));
	CU_ASSERT_EQUAL(ranges_add(&s, 15, 16), 0);	/* known */
	CU_ASSERT_EQUAL(ranges_add(&s, 7, 7), 0);	/* empty */
	CU_ASSERT_EQUAL(ranges_add(&s, 9, 7), 0);
	CU_ASSERT_TRUE(IS(&s, { 0, 5 }, { 10, 40 }));
	CU_ASSERT_EQUAL(ranges_add(&s, 3, 50), 0);	/* over all */
	CU_ASSERT_TRUE(IS(&s, { 0, 50 }));
	ranges_fini(&s);
}

static void test_remove(void)
{
	struct ranges s;

	ranges_init(&s, 10);
	ranges_add(&s, 0, 100);
	CU_ASSERT_EQUAL(ranges_remove(&s, 40, 60), 0);
	CU_ASSERT_TRUE(IS(&s, { 0, 40 }, { 60, 100 }));
	CU_ASSERT_EQUAL(ranges_remove(&s, 40, 60), 0);	/* not there */
	CU_ASSERT_EQUAL(ranges_remove(&s, 50, 50), 0);
	CU_ASSERT_EQUAL(ranges_remove(&s, 0, 10), 0);
	CU_ASSERT_EQUAL(ranges_remove(&s, 90, 200), 0);
	CU_ASSERT_TRUE(IS(&s, { 10, 40 }, { 60, 90 }));
	CU_ASSERT_EQUAL(ranges_add(&s, 45, 50), 0);
	CU_ASSERT_EQUAL(ranges_remove(&s, 30, 70), 0);
	CU_ASSERT_TRUE(IS(&s, { 10, 30 }, { 70, 90 }));
	CU_ASSERT_EQUAL(ranges_remove(&s, 10, 90), 0);
	CU_ASSERT_EQUAL(s.count, 0);
	CU_ASSERT_EQUAL(ranges_remove(&s, 0, UINT64_MAX), 0);
	ranges_fini(&s);
}

static void test_limit(void)
{
	struct ranges s;

	ranges_init(&s, 2);
	ranges_add(&s, 10, 20);
	ranges_add(&s, 30, 40);
	CU_ASSERT_EQUAL(ranges_add(&s, 50, 60), ERR_LIMIT);
	CU_ASSERT_EQUAL(ranges_add(&s, 0, 5), ERR_LIMIT);
	CU_ASSERT_EQUAL(ranges_add(&s, 22, 25), ERR_LIMIT);
	CU_ASSERT_EQUAL(ranges_remove(&s, 12, 13), ERR_LIMIT);
	CU_ASSERT_TRUE(IS(&s, { 10, 20 }, { 30, 40 }));
	CU_ASSERT_EQUAL(ranges_add(&s, 40, 45), 0);
	CU_ASSERT_EQUAL(ranges_remove(&s, 10, 12), 0);
	CU_ASSERT_EQUAL(ranges_add(&s, 20, 30), 0);
	CU_ASSERT_TRUE(IS(&s, { 12, 45 }));
	ranges_fini(&s);
}

static void test_drop(void)
{
	struct ranges s;

	ranges_init(&s, 10);
	ranges_drop_below(&s, 100);
	ranges_add(&s, 0, 10);
	ranges_add(&s, 20, 30);
	ranges_add(&s, 40, 50);
	ranges_drop_below(&s, 10);
	CU_ASSERT_TRUE(IS(&s, { 20, 30 }, { 40, 50 }));
	ranges_drop_below(&s, 25);
	CU_ASSERT_TRUE(IS(&s, { 25, 30 }, { 40, 50 }));
	ranges_drop_below(&s, 49);
	CU_ASSERT_TRUE(IS(&s, { 49, 50 }));
	ranges_drop_below(&s, UINT64_MAX);
	CU_ASSERT_EQUAL(s.count, 0);
	ranges_fini(&s);
}

static void test_questions(void)
{
	struct ranges s;
	struct range gap = { 0, 0 };

	ranges_init(&s, 10);
	CU_ASSERT_FALSE(ranges_contain(&s, 0));
	CU_ASSERT_TRUE(ranges_cover(&s, 5, 5));
	CU_ASSERT_FALSE(ranges_cover(&s, 5, 6));
	ranges_add(&s, 10, 20);
	ranges_add(&s, 30, 40);
	CU_ASSERT_FALSE(ranges_contain(&s, 9));
	CU_ASSERT_TRUE(ranges_contain(&s, 10));
	CU_ASSERT_TRUE(ranges_contain(&s, 19));
	CU_ASSERT_FALSE(ranges_contain(&s, 20));
	CU_ASSERT_TRUE(ranges_contain(&s, 35));
	CU_ASSERT_TRUE(ranges_cover(&s, 10, 20));
	CU_ASSERT_FALSE(ranges_cover(&s, 10, 21));
	CU_ASSERT_FALSE(ranges_cover(&s, 15, 35));
	CU_ASSERT_FALSE(ranges_first_gap(&s, 12, 18, &gap));
	CU_ASSERT_TRUE(ranges_first_gap(&s, 15, 35, &gap));
	CU_ASSERT_EQUAL(gap.from, 20);
	CU_ASSERT_EQUAL(gap.to, 30);
	CU_ASSERT_TRUE(ranges_first_gap(&s, 0, 5, &gap));
	CU_ASSERT_EQUAL(gap.from, 0);
	CU_ASSERT_EQUAL(gap.to, 5);
	CU_ASSERT_TRUE(ranges_first_gap(&s, 35, 100, &gap));
	CU_ASSERT_EQUAL(gap.from, 40);
	CU_ASSERT_EQUAL(gap.to, 100);
	CU_ASSERT_TRUE(ranges_first_gap(&s, 5, 100, &gap));
	CU_ASSERT_EQUAL(gap.to, 10);
	ranges_fini(&s);
}

static void test_ends_of_numbers(void)
{
	struct ranges s;

	ranges_init(&s, 10);
	CU_ASSERT_EQUAL(ranges_add(&s, UINT64_MAX - 5, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(ranges_add(&s, 0, 1), 0);
	CU_ASSERT_TRUE(IS(&s, { 0, 1 }, { UINT64_MAX - 5, UINT64_MAX }));
	CU_ASSERT_TRUE(ranges_contain(&s, 0));
	CU_ASSERT_TRUE(ranges_contain(&s, UINT64_MAX - 1));
	CU_ASSERT_FALSE(ranges_contain(&s, UINT64_MAX));
	CU_ASSERT_EQUAL(ranges_add(&s, 0, UINT64_MAX), 0);
	CU_ASSERT_TRUE(IS(&s, { 0, UINT64_MAX }));
	ranges_clear(&s);
	CU_ASSERT_EQUAL(s.count, 0);
	ranges_fini(&s);
}

/* Appending must not get slower as holes pile up: a million in a moment. */
static void test_append(void)
{
	struct ranges s;

	ranges_init(&s, 2000);
	for (uint64_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL_FATAL(ranges_add(&s, 3 * i, 3 * i + 1), 0);
	for (uint64_t i = 3000; i < 1000000; i++)
		if (ranges_add(&s, i, i + 1) != 0)
			CU_FAIL_FATAL("append failed");
	CU_ASSERT_EQUAL(s.count, 1001);
	ranges_fini(&s);
}

#define UNIVERSE 64

/* Every answer for every number and pair, against one bit per number. */
static bool agrees(const struct ranges *s, uint64_t bits)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (s->r[i].from >= s->r[i].to || s->r[i].to > UNIVERSE)
			return false;
		if (i > 0 && s->r[i - 1].to >= s->r[i].from)
			return false;
		for (uint64_t x = s->r[i].from; x < s->r[i].to; x++)
			seen |= UINT64_C(1) << x;
	}
	for (uint64_t x = 0; x < UNIVERSE; x++)
		if (ranges_contain(s, x) != ((bits >> x & 1) != 0))
			return false;
	return seen == bits;
}

static void test_model(void)
{
	uint64_t bits = 0;
	uint32_t seed = 7;
	struct ranges s;

	ranges_init(&s, UNIVERSE);
	for (int i = 0; i < 20000; i++) {
		uint64_t from, to, mask = 0;

		seed = seed * 1103515245 + 12345;
		from = (seed >> 8) % (UNIVERSE + 1);
		to = from + (seed >> 16) % 12;
		if (to > UNIVERSE)
			to = UNIVERSE;
		for (uint64_t x = from; x < to; x++)
			mask |= UINT64_C(1) << x;
		if (i % 64 == 63) {
			ranges_drop_below(&s, from);
			bits = from == 64 ? 0 : bits >> from << from;
		} else if ((seed >> 30 & 1) != 0) {
			CU_ASSERT_EQUAL(ranges_add(&s, from, to), 0);
			bits |= mask;
		} else {
			CU_ASSERT_EQUAL(ranges_remove(&s, from, to), 0);
			bits &= ~mask;
		}
		if (!agrees(&s, bits))
			CU_FAIL_FATAL("set and model differ");
	}
	ranges_fini(&s);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "what touches or overlaps becomes one range", test_add },
		{ "taking out cuts, splits and forgets ranges", test_remove },
		{ "one range too many is refused and changes nothing",
		    test_limit },
		{ "what lies below is forgotten", test_drop },
		{ "membership, cover and gaps are told", test_questions },
		{ "both ends of the numbers work", test_ends_of_numbers },
		{ "appending is quick, also behind many holes", test_append },
		{ "any mix of changes agrees with a bitmap", test_model },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
