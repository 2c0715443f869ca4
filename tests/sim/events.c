#include "config.h"

#include "tests/sim/events.h"

#include <assert.h>
#include <stdlib.h>

struct events_entry {
	uint64_t at_ms, serial;
	void (*fn)(void *ctx);
	void *ctx;
};

void events_init(struct events *e)
{
	*e = (struct events){ .now_ms = 0 };
}

void events_fini(struct events *e)
{
	free(e->heap);
	*e = (struct events){ .now_ms = 0 };
}

static bool before(const struct events_entry *a, const struct events_entry *b)
{
	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms;
	return a->serial < b->serial;
}

static void sift_up(struct events *e, size_t i)
{
	struct events_entry x = e->heap[i];

	while (i > 0 && before(&x, &e->heap[(i - 1) / 2])) {
		e->heap[i] = e->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	e->heap[i] = x;
}

static void sift_down(struct events *e, size_t i)
{
	struct events_entry x = e->heap[i];
	size_t child;

	while ((child = 2 * i + 1) < e->count) {
		if (child + 1 < e->count &&
		    before(&e->heap[child + 1], &e->heap[child]))
			child++;
		if (before(&x, &e->heap[child]))
			break;
		e->heap[i] = e->heap[child];
		i = child;
	}
	e->heap[i] = x;
}

void events_at(struct events *e, uint64_t at_ms, void (*fn)(void *ctx),
    void *ctx)
{
	if (e->count == e->size) {
		e->size = e->size > 0 ? 2 * e->size : 256;
		e->heap = realloc(e->heap, e->size * sizeof(*e->heap));
		if (e->heap == NULL)
			abort();
	}
	e->heap[e->count] = (struct events_entry){
		.at_ms = at_ms > e->now_ms ? at_ms : e->now_ms,
		.serial = e->serial++, .fn = fn, .ctx = ctx,
	};
	sift_up(e, e->count++);
}

void events_after(struct events *e, uint64_t wait_ms, void (*fn)(void *ctx),
    void *ctx)
{
	events_at(e, e->now_ms + wait_ms, fn, ctx);
}

uint64_t events_next_ms(const struct events *e)
{
	return e->count > 0 ? e->heap[0].at_ms : UINT64_MAX;
}

void events_advance(struct events *e, uint64_t to_ms)
{
	assert(to_ms <= events_next_ms(e));
	if (to_ms > e->now_ms)
		e->now_ms = to_ms;
}

bool events_run(struct events *e)
{
	struct events_entry x;

	if (e->count == 0 || e->heap[0].at_ms > e->now_ms)
		return false;
	x = e->heap[0];
	e->heap[0] = e->heap[--e->count];
	if (e->count > 0)
		sift_down(e, 0);
	x.fn(x.ctx);
	return true;
}
