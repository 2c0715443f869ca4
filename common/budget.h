/*
 * A bound on bytes that several share, in levels: what is charged to one
 * counts in those above it, so that a session counts for its device and a
 * device for the gateway. A bound, not an allocator: whoever charges asks for
 * the room first, and what must go on in any case may go beyond it.
 */
#ifndef COMMON_BUDGET_H
#define COMMON_BUDGET_H

#include <stdint.h>

struct budget {
	struct budget *above;	/* NULL: the highest */
	uint64_t max, used;
};

/* Bytes left in it and in all above; NULL is no bound. */
uint64_t budget_room(const struct budget *b);

/* `used` changes by this much, in all above as well; NULL is fine. */
void budget_charge(struct budget *b, uint64_t bytes);
void budget_release(struct budget *b, uint64_t bytes);

#endif
