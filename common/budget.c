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

static bool is_tight(const struct budget *b)
{
	return b->used >= b->max || b->max - b->used < BUDGET_LEAST;
}

static void look(struct budget *b, struct budget *by)
{
	if (b->full || !is_tight(b))
		return;
	b->full = true;
	if (b->on_full != NULL)
		b->on_full(b, by);
}

void budget_charge(struct budget *b, uint64_t bytes)
{
	for (struct budget *by = b; b != NULL; b = b->above) {
		b->used += bytes;
		if (bytes > 0)
			look(b, by);
	}
}

void budget_release(struct budget *b, uint64_t bytes)
{
	for (; b != NULL; b = b->above) {
		assert(b->used >= bytes);
		b->used -= bytes;
		if (b->full && b->used <= b->max - b->max / 8 &&
		    !is_tight(b))
			b->full = false;
	}
}
