/*
 * A bound on bytes that several share, in levels: what is charged to one
 * counts in those above it, so that a session counts for its device and a
 * device for the gateway. A bound, not an allocator: whoever charges asks for
 * the room first, and what must go on in any case may go beyond it.
 *
 * One with less than BUDGET_LEAST left is full: too little for anybody to go on
 * as he would like. It stays full until an eighth is free, so that one that is
 * always about to be full is told of once.
 */
#ifndef COMMON_BUDGET_H
#define COMMON_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_LEAST 16384u	/* bytes; what a stream is always allowed */

struct budget {
	struct budget *above;	/* NULL: the highest */
	uint64_t max, used;
	bool full;
	/*
	 * It has become full, by what was charged to `by`, which is this one or
	 * below. Must only take note. NULL: nobody wants to know.
	 */
	void (*on_full)(struct budget *b, struct budget *by);
};

/* Bytes left in it and in all above; NULL is no bound. */
uint64_t budget_room(const struct budget *b);

/* `used` changes by this much, in all above as well; NULL is fine. */
void budget_charge(struct budget *b, uint64_t bytes);
void budget_release(struct budget *b, uint64_t bytes);

#endif
