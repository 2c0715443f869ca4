#include "config.h"

#include "common/cwnd.h"

#include "tests/unit/unit.h"

#define BASE_MS 50u

static struct cwnd c;
static uint64_t now_ms;

/*
 * One round trip: what may be under way is, all of it arrives, and a probe
 * comes back after rtt_ms.
 */
static void round_trip(uint64_t rtt_ms)
{
	uint64_t flight = cwnd_room(&c, 0);

	now_ms += BASE_MS / 2;
	CU_ASSERT_TRUE(cwnd_wants_probe(&c, flight, now_ms));
	cwnd_on_probe_sent(&c, now_ms);
	now_ms += rtt_ms;
	cwnd_on_acked(&c, flight, flight);
	cwnd_on_probe(&c, now_ms);
}

static void setup(void)
{
	now_ms = 1000;
	cwnd_init(&c);
	round_trip(BASE_MS);
}

static void test_it_is_open_until_it_is_used_up(void)
{
	cwnd_init(&c);
	CU_ASSERT_EQUAL(cwnd_room(&c, 0), CWND_FIRST);
	CU_ASSERT_EQUAL(cwnd_room(&c, CWND_FIRST - 1), 1);
	CU_ASSERT_EQUAL(cwnd_room(&c, CWND_FIRST), 0);
	CU_ASSERT_EQUAL(cwnd_room(&c, CWND_FIRST + 1), 0);
}

static void test_it_grows_while_nothing_is_delayed(void)
{
	uint64_t before;

	setup();
	before = c.bytes;
	round_trip(BASE_MS);
	CU_ASSERT_TRUE(c.bytes > before);
}

static void test_it_does_not_grow_unused(void)
{
	uint64_t before;

	setup();
	before = c.bytes;
	for (int i = 0; i < 10; i++) {
		now_ms += BASE_MS;
		cwnd_on_probe_sent(&c, now_ms);
		now_ms += BASE_MS;
		cwnd_on_acked(&c, c.bytes / 2, c.bytes / 2);
		cwnd_on_probe(&c, now_ms);
	}
	CU_ASSERT_EQUAL(c.bytes, before);
}

static void test_three_slow_probes_in_a_row_make_it_shrink(void)
{
	uint64_t before;

	setup();
	before = c.bytes;
	round_trip(2 * BASE_MS);
	round_trip(2 * BASE_MS);
	CU_ASSERT_EQUAL(c.bytes, before);
	round_trip(2 * BASE_MS);
	CU_ASSERT_TRUE(c.bytes < before);
	CU_ASSERT_TRUE(c.bytes >= CWND_MIN);
}

/* A probe would meet what the larger window has left in the queue. */
static void test_after_shrinking_it_waits_for_the_rest(void)
{
	uint64_t before;

	setup();
	before = c.bytes;
	for (int i = 0; i < 3; i++)
		round_trip(2 * BASE_MS);
	CU_ASSERT_TRUE(c.bytes + CWND_MIN < before);
	now_ms += 2 * BASE_MS;
	CU_ASSERT_FALSE(cwnd_wants_probe(&c, before, now_ms));
	CU_ASSERT_TRUE(cwnd_wants_probe(&c, c.bytes, now_ms));
}

/* As on a radio link: each way takes up to so much longer, at random. */
static uint64_t jitter(uint64_t most_ms)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return BASE_MS + (state >> 16) % (most_ms + 1);
}

static void test_a_path_that_is_uneven_is_not_full(void)
{
	uint64_t sum = 0;

	setup();
	for (int i = 0; i < 400; i++) {
		round_trip(jitter(30));
		sum += c.bytes;
	}
	CU_ASSERT_TRUE(sum / 400 > CWND_FIRST / 2);
}

static void test_a_queue_on_such_a_path_is_taken_back(void)
{
	setup();
	for (int i = 0; i < 20; i++)
		round_trip(jitter(30));
	for (int i = 0; i < 30; i++)
		round_trip(2 * BASE_MS + jitter(30));
	CU_ASSERT_TRUE(c.bytes < CWND_FIRST / 2);
}

static void test_one_slow_probe_changes_nothing(void)
{
	uint64_t before;

	setup();
	before = c.bytes;
	round_trip(5 * BASE_MS);
	CU_ASSERT_EQUAL(c.bytes, before);
	round_trip(BASE_MS);
	CU_ASSERT_TRUE(c.bytes > before);
}

static void test_it_never_falls_below_the_least(void)
{
	setup();
	for (int i = 0; i < 30; i++)
		round_trip(4 * BASE_MS);
	CU_ASSERT_EQUAL(c.bytes, CWND_MIN);
}

/* Also when it looks for the path's own delay, with half the window. */
static void test_at_its_least_it_is_still_measured(void)
{
	bool drained = false;

	setup();
	for (int i = 0; i < 100 && c.rtt_ms == BASE_MS; i++) {
		round_trip(4 * BASE_MS);
		drained |= c.draining;
		CU_ASSERT_TRUE(cwnd_room(&c, 0) >= CWND_MIN);
	}
	CU_ASSERT_TRUE(drained);
	CU_ASSERT_FALSE(c.draining);
	CU_ASSERT_EQUAL(c.rtt_ms, 4 * BASE_MS);
	for (int i = 0; i < 20; i++)
		round_trip(4 * BASE_MS);
	CU_ASSERT_TRUE(c.bytes > CWND_MIN);
}

static void test_a_probe_that_stays_away_is_sent_again_ever_later(void)
{
	uint64_t first, second;

	setup();
	now_ms += BASE_MS;
	cwnd_on_probe_sent(&c, now_ms);
	for (first = 0; !cwnd_wants_probe(&c, c.bytes, now_ms); first++)
		now_ms++;
	CU_ASSERT_TRUE(first > 2 * BASE_MS && first < 10 * BASE_MS);
	cwnd_on_probe_sent(&c, now_ms);
	for (second = 0; !cwnd_wants_probe(&c, c.bytes, now_ms); second++)
		now_ms++;
	CU_ASSERT_TRUE(second >= 2 * first);
}

static void test_little_under_way_needs_no_probe(void)
{
	setup();
	now_ms += 10000;
	CU_ASSERT_FALSE(cwnd_wants_probe(&c, CWND_MIN - 1, now_ms));
	CU_ASSERT_TRUE(cwnd_wants_probe(&c, CWND_MIN, now_ms));
}

/* The path has become longer for good: that is no queue. */
static void test_a_longer_path_is_found_out(void)
{
	setup();
	CU_ASSERT_EQUAL(c.rtt_ms, BASE_MS);
	for (int i = 0; i < 100; i++)
		round_trip(3 * BASE_MS);
	CU_ASSERT_EQUAL(c.rtt_ms, 3 * BASE_MS);
	CU_ASSERT_TRUE(c.bytes > CWND_MIN);
}

/* And grows from there as at the beginning. */
static void test_silence_leaves_the_least(void)
{
	setup();
	for (int i = 0; i < 20; i++)
		round_trip(BASE_MS);
	CU_ASSERT_TRUE(c.bytes > CWND_MIN);
	cwnd_on_silence(&c, now_ms);
	CU_ASSERT_EQUAL(c.bytes, CWND_MIN);
	CU_ASSERT_EQUAL(cwnd_room(&c, 0), CWND_MIN);
	CU_ASSERT_EQUAL(c.rtt_ms, BASE_MS);
	for (int i = 0; i < 5; i++)
		round_trip(BASE_MS);
	CU_ASSERT_TRUE(c.bytes >= 16 * CWND_MIN);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "it is open until it is used up",
		    test_it_is_open_until_it_is_used_up },
		{ "it grows while nothing is delayed",
		    test_it_grows_while_nothing_is_delayed },
		{ "it does not grow unused", test_it_does_not_grow_unused },
		{ "three slow probes in a row make it shrink",
		    test_three_slow_probes_in_a_row_make_it_shrink },
		{ "after shrinking it waits for the rest",
		  test_after_shrinking_it_waits_for_the_rest },
		{ "a path that is uneven is not full",
		    test_a_path_that_is_uneven_is_not_full },
		{ "a queue on such a path is taken back",
		    test_a_queue_on_such_a_path_is_taken_back },
		{ "one slow probe changes nothing",
		    test_one_slow_probe_changes_nothing },
		{ "it never falls below the least",
		    test_it_never_falls_below_the_least },
		{ "at its least it is still measured",
		    test_at_its_least_it_is_still_measured },
		{ "a probe that stays away is sent again, ever later",
		    test_a_probe_that_stays_away_is_sent_again_ever_later },
		{ "little under way needs no probe",
		    test_little_under_way_needs_no_probe },
		{ "a longer path is found out",
		    test_a_longer_path_is_found_out },
		{ "silence leaves the least", test_silence_leaves_the_least },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
