/*
 * A set of 64-bit numbers kept as sorted, disjoint, non-touching half-open
 * ranges: record numbers received, stream bytes received, acknowledged or
 * lost. The number of ranges is capped, so that a peer cannot grow the set
 * by leaving holes.
 */
#ifndef COMMON_RANGES_H
#define COMMON_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t from, to;	/* [from, to), from < to */
};

struct ranges {
	struct range *r;	/* r[0..count), ascending; only to be read */
	size_t count;
	size_t size;		/* private */
	size_t max;		/* private */
};

/* An empty set of at most max ranges; allocates nothing yet. */
void ranges_init(struct ranges *s, size_t max);
void ranges_fini(struct ranges *s);
void ranges_clear(struct ranges *s);

/*
 * Add [from, to), merging; an empty range is no change.
 * 0, ERR_LIMIT (would need one range too many; unchanged) or ERR_NOMEM.
 * Appending at or near the end is the quick case.
 */
int ranges_add(struct ranges *s, uint64_t from, uint64_t to);

/*
 * Take [from, to) out, wherever it overlaps. 0, ERR_LIMIT (splitting a range
 * would need one too many; unchanged) or ERR_NOMEM.
 */
int ranges_remove(struct ranges *s, uint64_t from, uint64_t to);

/* Forget everything below `from`. Cannot fail. */
void ranges_drop_below(struct ranges *s, uint64_t from);

bool ranges_contain(const struct ranges *s, uint64_t x);

/* Is every number of [from, to) in the set? True for an empty range. */
bool ranges_cover(const struct ranges *s, uint64_t from, uint64_t to);

/*
 * The first part of [from, to) that is not in the set, in *gap.
 * False when there is none.
 */
bool ranges_first_gap(const struct ranges *s, uint64_t from, uint64_t to,
    struct range *gap);

#endif
