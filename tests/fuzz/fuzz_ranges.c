/*
 * Sets of ranges, changed as the input says, against a bitmap that is too
 * simple to be wrong. Each step is three bytes: what, from, how many.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/ranges.h"

#define UNIVERSE 256u		/* numbers 0..255, and what lies above */
#define RANGES_MAX 20u		/* few, so that the limit is met */
#define STEPS_MAX 600u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
void fuzz_seeds(void (*add)(const uint8_t *data, size_t len));

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* How many runs of set bits there are. */
static size_t runs(const bool bit[UNIVERSE])
{
	size_t n = 0;

	for (size_t x = 0; x < UNIVERSE; x++)
		n += bit[x] && (x == 0 || !bit[x - 1]);
	return n;
}

/* Is the set sorted, disjoint, not touching, and just what the bits say? */
static void compare(const struct ranges *s, const bool bit[UNIVERSE])
{
	size_t i = 0;

	must(s->count == runs(bit) && s->count <= RANGES_MAX);
	for (uint64_t x = 0; x < UNIVERSE; x++) {
		if (!bit[x])
			continue;
		must(i < s->count && s->r[i].from == x);
		while (x < UNIVERSE && bit[x])
			x++;
		must(s->r[i].to == x);
		i++;
	}
}

static void ask(const struct ranges *s, const bool bit[UNIVERSE],
    uint64_t from, uint64_t to)
{
	struct range gap = { 0, 0 };
	uint64_t first = from, end;

	while (first < to && bit[first])
		first++;
	for (end = first; end < to && !bit[end]; end++)
		;
	must(ranges_first_gap(s, from, to, &gap) == (first < to));
	must(ranges_cover(s, from, to) == (first >= to));
	must(first >= to || (gap.from == first && gap.to == end));
	must(from >= UNIVERSE || ranges_contain(s, from) == bit[from]);
	must(!ranges_contain(s, UNIVERSE));
}

/* Add to or take from both; the limit must be met by both or by none. */
static void change(struct ranges *s, bool bit[UNIVERSE], bool add,
    uint64_t from, uint64_t to)
{
	bool after[UNIVERSE];
	int rc;

	memcpy(after, bit, sizeof(after));
	for (uint64_t x = from; x < to; x++)
		after[x] = add;
	rc = add ? ranges_add(s, from, to) : ranges_remove(s, from, to);
	if (runs(after) > RANGES_MAX) {
		must(rc == ERR_LIMIT);
		return;
	}
	must(rc == 0);
	memcpy(bit, after, sizeof(after));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool bit[UNIVERSE] = { false };
	struct ranges s;

	ranges_init(&s, RANGES_MAX);
	for (size_t i = 0; i + 3 <= len && i < 3 * STEPS_MAX; i += 3) {
		uint64_t from = data[i + 1], to = from + data[i + 2] % 32;

		if (to > UNIVERSE)
			to = UNIVERSE;
		switch (data[i] % 8) {
		case 0:
			ranges_drop_below(&s, from);
			memset(bit, 0, from * sizeof(bit[0]));
			break;
		case 1:
		case 2:
		case 3:
			change(&s, bit, false, from, to);
			break;
		default:
			change(&s, bit, true, from, to);
			break;
		}
		compare(&s, bit);
		ask(&s, bit, from, to);
		ask(&s, bit, data[i], from);
	}
	ranges_fini(&s);
	return 0;
}

void fuzz_seeds(void (*add)(const uint8_t *data, size_t len))
{
	uint8_t steps[300];

	for (size_t i = 0; i < sizeof(steps); i += 3) {
		steps[i] = (uint8_t)(i * 7 / 3);
		steps[i + 1] = (uint8_t)(i * 53 / 3);
		steps[i + 2] = (uint8_t)(i % 11);
	}
	add(steps, sizeof(steps));
	/* Every other number: meets the limit, then closes the holes. */
	for (size_t i = 0; i < sizeof(steps); i += 3) {
		steps[i] = 4;
		steps[i + 1] = (uint8_t)(i / 3 * (i < 150 ? 2 : 3));
		steps[i + 2] = i < 150 ? 1 : 4;
	}
	add(steps, sizeof(steps));
}
