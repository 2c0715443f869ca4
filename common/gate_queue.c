/* What waits: exchanges that are held, and how all of them are let go. */
#include "config.h"

#include "common/gate_impl.h"

/* ---- held ones -------------------------------------------------------- */

bool gate_is_for_bulk(const struct gate_exchange *x)
{
	return x->lane >= SESSION_BULK_LANE;
}

static struct gate_held *list_of(const struct gate_exchange *x)
{
	return gate_is_for_bulk(x) ? &x->gs->bulk : &x->gs->held;
}

void gate_hold(struct gate_exchange *x)
{
	struct gate_held *l = list_of(x);

	x->state = GATE_WAITING;
	x->is_held = true;
	x->held_next = NULL;
	*l->tail = x;
	l->tail = &x->held_next;
	l->count++;
	gate_due_at(x, x->hold_until_ms);
}

void gate_unhold(struct gate_exchange *x)
{
	struct gate_held *l = list_of(x);
	struct gate_exchange **at = &l->head;

	if (!x->is_held)
		return;
	while (*at != x)
		at = &(*at)->held_next;
	*at = x->held_next;
	if (*at == NULL)
		l->tail = at;
	x->is_held = false;
	l->count--;
}

/* Let it be answered now. */
void gate_ready(struct gate_exchange *x)
{
	bool waited = x->state == GATE_WAITING;

	if (x->gs != NULL)
		gate_unhold(x);
	gate_due_remove(x);
	x->state = GATE_READY;
	if (waited)
		x->on_ready(x->ctx);
}

void gate_stop_pouring(struct gate_exchange *x)
{
	if (!x->pours)
		return;
	x->pours = false;
	x->gs->pouring--;
	if (!gate_is_for_bulk(x))
		x->gs->pouring_warm--;
}

void gate_start_pouring(struct gate_exchange *x)
{
	if (x->pours)
		return;
	x->pours = true;
	x->gs->pouring++;
	if (!gate_is_for_bulk(x))
		x->gs->pouring_warm++;
}

/* ---- nothing is to wait any more -------------------------------------- */

static void let_go_all(struct gate_list *l)
{
	for (struct gate_session *gs = l->head; gs != NULL; gs = gs->next) {
		struct gate_exchange *x, *next;

		for (x = gs->exchanges; x != NULL; x = next) {
			next = x->next;
			x->finish = true;
			if (x->state == GATE_WAITING)
				gate_ready(x);
		}
	}
}

void gate_let_go(struct gate *g, bool let_go)
{
	g->letting_go = let_go;
	if (!let_go)
		return;
	let_go_all(&g->live);
	let_go_all(&g->fresh);
}
