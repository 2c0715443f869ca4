#include "config.h"

#include "common/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define SIZE_FIRST 8u		/* ranges in the first allocation */

void ranges_init(struct ranges *s, size_t max)
{
	*s = (struct ranges){ .max = max };
}

void ranges_fini(struct ranges *s)
{
	free(s->r);
	ranges_init(s, s->max);
}

void ranges_clear(struct ranges *s)
{
	s->count = 0;
}

/* The first range that ends behind x, or count. */
static size_t find(const struct ranges *s, uint64_t x)
{
	size_t lo = 0, hi = s->count;

	/* What arrives and what is asked for is mostly the newest. */
	if (hi == 0 || s->r[hi - 1].to <= x)
		return hi;
	if (s->r[hi - 1].from <= x)
		return hi - 1;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->r[mid].to <= x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Make place for one more range at index i. */
static int open_slot(struct ranges *s, size_t i)
{
	if (s->count >= s->max)
		return ERR_LIMIT;
	if (s->count == s->size) {
		size_t size = s->size == 0 ? SIZE_FIRST : s->size * 2;
		struct range *r = realloc(s->r, size * sizeof(*r));

		if (r == NULL)
			return ERR_NOMEM;
		s->r = r;
		s->size = size;
	}
	memmove(s->r + i + 1, s->r + i, (s->count - i) * sizeof(*s->r));
	s->count++;
	return 0;
}

/* Take out the ranges [i, j). */
static void close_slots(struct ranges *s, size_t i, size_t j)
{
	if (i == j)
		return;
	memmove(s->r + i, s->r + j, (s->count - j) * sizeof(*s->r));
	s->count -= j - i;
}

int ranges_add(struct ranges *s, uint64_t from, uint64_t to)
{
	size_t i, j;
	int rc;

	if (from >= to)
		return 0;
	/* From i on, ranges end at `from` or behind: what touches, merges. */
	i = from > 0 ? find(s, from - 1) : 0;
	for (j = i; j < s->count && s->r[j].from <= to; j++)
		;
	if (i == j) {
		rc = open_slot(s, i);
		if (rc == 0)
			s->r[i] = (struct range){ from, to };
		return rc;
	}
	if (s->r[i].from > from)
		s->r[i].from = from;
	s->r[i].to = s->r[j - 1].to > to ? s->r[j - 1].to : to;
	close_slots(s, i + 1, j);
	return 0;
}

int ranges_remove(struct ranges *s, uint64_t from, uint64_t to)
{
	size_t i, j;
	int rc;

	if (from >= to)
		return 0;
	i = find(s, from);
	if (i == s->count || s->r[i].from >= to)
		return 0;
	if (s->r[i].from < from && s->r[i].to > to) {
		rc = open_slot(s, i);
		if (rc != 0)
			return rc;
		s->r[i].to = from;
		s->r[i].from = s->r[i + 1].from;
		s->r[i + 1].from = to;
		return 0;
	}
	if (s->r[i].from < from)
		s->r[i++].to = from;
	for (j = i; j < s->count && s->r[j].to <= to; j++)
		;
	if (j < s->count && s->r[j].from < to)
		s->r[j].from = to;
	close_slots(s, i, j);
	return 0;
}

void ranges_drop_below(struct ranges *s, uint64_t from)
{
	size_t i = find(s, from);

	if (i < s->count && s->r[i].from < from)
		s->r[i].from = from;
	close_slots(s, 0, i);
}

bool ranges_contain(const struct ranges *s, uint64_t x)
{
	size_t i = find(s, x);

	return i < s->count && s->r[i].from <= x;
}

bool ranges_cover(const struct ranges *s, uint64_t from, uint64_t to)
{
	struct range gap;

	return !ranges_first_gap(s, from, to, &gap);
}

bool ranges_first_gap(const struct ranges *s, uint64_t from, uint64_t to,
    struct range *gap)
{
	size_t i;

	if (from >= to)
		return false;
	i = find(s, from);
	if (i < s->count && s->r[i].from <= from)
		from = s->r[i++].to;
	if (from >= to)
		return false;
	/* Ranges never touch: right behind one there is a gap. */
	gap->from = from;
	gap->to = i < s->count && s->r[i].from < to ? s->r[i].from : to;
	return true;
}
