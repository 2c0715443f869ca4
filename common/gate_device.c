/* Devices that have sessions: how many, which, and how much they keep. */
#include "config.h"

#include "common/gate_impl.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static struct gate_device **bucket(struct gate *g, const uint8_t key[32])
{
	uint32_t h;

	/* Only who is registered gets here: nobody can choose them to clash. */
	memcpy(&h, key, sizeof(h));
	return &g->devices[h % GATE_DEVICE_BUCKETS];
}

struct gate_device *gate_device_find(struct gate *g, const uint8_t key[32])
{
	struct gate_device *d = *bucket(g, key);

	while (d != NULL && memcmp(d->key, key, sizeof(d->key)) != 0)
		d = d->bucket_next;
	return d;
}

void gate_device_full(struct budget *b, struct budget *by)
{
	const struct gate_device *d = (const struct gate_device *)
	    ((const char *)by - offsetof(struct gate_device, budget));

	gate_limit(d->g, b == by ? GATE_LIMIT_DEVICE_MEMORY :
	    GATE_LIMIT_MEMORY, b->max, d->key, NULL);
}

static struct gate_device *add(struct gate *g, const uint8_t key[32])
{
	struct gate_device *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	memcpy(d->key, key, sizeof(d->key));
	d->g = g;
	d->budget.above = &g->budget;
	d->budget.on_full = gate_device_full;
	d->bucket_next = *bucket(g, key);
	*bucket(g, key) = d;
	return d;
}

static void forget(struct gate *g, struct gate_device *d)
{
	struct gate_device **at = bucket(g, d->key);

	while (*at != d)
		at = &(*at)->bucket_next;
	*at = d->bucket_next;
	free(d);
}

static void put_first(struct gate_session *gs)
{
	struct gate_device *d = gs->owner;

	gs->device_prev = NULL;
	gs->device_next = d->sessions;
	if (gs->device_next != NULL)
		gs->device_next->device_prev = gs;
	d->sessions = gs;
}

int gate_device_join(struct gate_session *gs)
{
	struct gate_device *d = gate_device_find(gs->g, gs->key);

	if (d == NULL)
		d = add(gs->g, gs->key);
	if (d == NULL)
		return ERR_NOMEM;
	d->budget.max = gs->g->cfg.max_device_memory;
	gs->owner = d;
	put_first(gs);
	return 0;
}

static void take_out(struct gate_session *gs)
{
	struct gate_device *d = gs->owner;

	if (gs->device_prev != NULL)
		gs->device_prev->device_next = gs->device_next;
	else
		d->sessions = gs->device_next;
	if (gs->device_next != NULL)
		gs->device_next->device_prev = gs->device_prev;
}

void gate_device_used(struct gate_session *gs)
{
	take_out(gs);
	put_first(gs);
}

void gate_device_leave(struct gate_session *gs)
{
	struct gate_device *d = gs->owner;

	take_out(gs);
	gs->owner = NULL;
	if (d->sessions == NULL)
		forget(gs->g, d);
}

unsigned *gate_device_count(const struct gate_session *gs)
{
	struct gate_device *d = gs->owner;

	if (gs->ended)
		return &d->ended;
	return gs->confirmed ? &d->live : &d->fresh;
}

struct gate_session *gate_device_oldest(const struct gate_device *d,
    const struct gate_list *l)
{
	struct gate_session *oldest = NULL;

	for (struct gate_session *gs = d->sessions; gs != NULL;
	    gs = gs->device_next)
		if (gate_list_of(gs) == l)
			oldest = gs;
	return oldest;
}
