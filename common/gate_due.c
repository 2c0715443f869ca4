/*
 * What is due, ordered by time: a pairing heap. Holds and acknowledgements of
 * many sessions wait for times that are far apart, in no order.
 */
#include "config.h"

#include "common/gate_impl.h"

/* Two heaps become one. Both are without a parent; either may be NULL. */
static struct gate_exchange *meld(struct gate_exchange *a,
    struct gate_exchange *b)
{
	struct gate_exchange *t;

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->due_ms < a->due_ms) {
		t = a;
		a = b;
		b = t;
	}
	b->due_prev = a;
	b->due_next = a->due_child;
	if (b->due_next != NULL)
		b->due_next->due_prev = b;
	a->due_child = b;
	return a;
}

/* Off the list of its siblings, which is not put right. */
static struct gate_exchange *take(struct gate_exchange **list)
{
	struct gate_exchange *x = *list;

	if (x == NULL)
		return NULL;
	*list = x->due_next;
	x->due_next = x->due_prev = NULL;
	return x;
}

/* Children that have lost their parent: two by two, then all. */
static struct gate_exchange *meld_children(struct gate_exchange *children)
{
	struct gate_exchange *pairs = NULL, *all = NULL, *x;

	while ((x = take(&children)) != NULL) {
		x = meld(x, take(&children));
		x->due_next = pairs;
		pairs = x;
	}
	while ((x = take(&pairs)) != NULL)
		all = meld(all, x);
	return all;
}

static void unlink_child(struct gate_exchange *x)
{
	if (x->due_prev->due_child == x)
		x->due_prev->due_child = x->due_next;
	else
		x->due_prev->due_next = x->due_next;
	if (x->due_next != NULL)
		x->due_next->due_prev = x->due_prev;
	x->due_next = x->due_prev = NULL;
}

void gate_due_remove(struct gate_exchange *x)
{
	struct gate *g = x->g;
	struct gate_exchange *rest;

	if (!x->is_due)
		return;
	x->is_due = false;
	rest = meld_children(x->due_child);
	x->due_child = NULL;
	if (x == g->due_head) {
		g->due_head = rest;
		return;
	}
	unlink_child(x);
	g->due_head = meld(g->due_head, rest);
}

void gate_due_at(struct gate_exchange *x, uint64_t when)
{
	gate_due_remove(x);
	x->is_due = true;
	x->due_ms = when;
	x->g->due_head = meld(x->g->due_head, x);
}
