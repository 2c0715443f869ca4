#include "config.h"

#include "common/budget.h"

#include <assert.h>
#include <stddef.h>

uint64_t budget_room(const struct budget *b)
{
	uint64_t room = UINT64_MAX, here;

	for (; b != NULL; b = b->above) {
		here = b->used < b->max ? b->max - b->used : 0;
		if (here < room)
			room = here;
	}
	return room;
}

void budget_charge(struct budget *b, uint64_t bytes)
{
	for (; b != NULL; b = b->above)
		b->used += bytes;
}

void budget_release(struct budget *b, uint64_t bytes)
{
	for (; b != NULL; b = b->above) {
		assert(b->used >= bytes);
		b->used -= bytes;
	}
}
