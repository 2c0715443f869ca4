#include "config.h"

#include "common/sent.h"

#include <assert.h>
#include <stdlib.h>

#include "common/lane_table.h"

/* Kept for reuse; a session that was busy once does not stay large. */
#define SPARE_MAX 64u

void sent_init(struct sent *s)
{
	*s = (struct sent){ 0 };
}

/* Have a place for this lane. */
static bool reach(struct sent *s, uint64_t lane)
{
	struct sent_lane *table = lane_table_reach(s->lane, &s->lanes,
	    sizeof(*table), lane);

	if (table != NULL)
		s->lane = table;
	return table != NULL;
}

static void free_list(struct sent_record *r)
{
	struct sent_record *next;

	for (; r != NULL; r = next) {
		next = r->next;
		free(r);
	}
}

void sent_fini(struct sent *s)
{
	for (size_t i = 0; i < s->lanes; i++)
		free_list(s->lane[i].head);
	free(s->lane);
	free_list(s->free);
	sent_init(s);
}

struct sent_record *sent_new(struct sent *s, uint64_t lane)
{
	struct sent_record *r = s->free;

	assert(lane < SESSION_LANES);
	if (s->count >= SENT_RECORDS_MAX || !reach(s, lane))
		return NULL;
	if (r != NULL) {
		s->free = r->next;
		s->spare--;
	} else {
		r = malloc(sizeof(*r));
	}
	if (r == NULL)
		return NULL;
	r->count = 0;
	r->ack_to = 0;
	r->ack_turn = 0;
	s->count++;
	return r;
}

void sent_push(struct sent *s, uint64_t lane, struct sent_record *r)
{
	struct sent_lane *l = &s->lane[lane];

	assert(lane < s->lanes);
	r->next = NULL;
	if (r->count > 0)
		s->carrying++;
	s->flight += r->size;
	l->flight += r->size;
	if (l->head == NULL)
		l->head = r;
	else
		l->last->next = r;
	l->last = r;
}

void sent_drop(struct sent *s, struct sent_record *r)
{
	s->count--;
	if (s->spare >= SPARE_MAX) {
		free(r);
		return;
	}
	s->spare++;
	r->next = s->free;
	s->free = r;
}

/* The fate of a record is known. */
static void settle(struct sent *s, struct sent_lane *l, struct sent_record *r,
    sent_fn fn, void *ctx)
{
	s->flight -= r->size;
	l->flight -= r->size;
	if (r->count > 0)
		s->carrying--;
	fn(ctx, r);
	sent_drop(s, r);
}

/* Take the acknowledged records out of one lane. */
static void lane_acked(struct sent *s, struct sent_lane *l,
    const struct range *ack, size_t count, sent_fn fn, void *ctx)
{
	struct sent_record **at = &l->head, *before = NULL, *r;
	size_t i = count;	/* ack[i - 1] is the lowest that may match */

	while ((r = *at) != NULL && i > 0) {
		if (r->number >= ack[i - 1].to) {
			i--;
		} else if (r->number < ack[i - 1].from) {
			before = r;
			at = &r->next;
		} else {
			*at = r->next;
			if (*at == NULL)
				l->last = before;
			settle(s, l, r, fn, ctx);
		}
	}
}

void sent_acked(struct sent *s, const struct range *ack, size_t count,
    sent_fn fn, void *ctx)
{
	for (size_t i = 0; i < s->lanes; i++)
		if (s->lane[i].head != NULL)
			lane_acked(s, &s->lane[i], ack, count, fn, ctx);
}

void sent_lost(struct sent *s, uint64_t lane, uint64_t exchange, sent_fn fn,
    void *ctx)
{
	struct sent_lane *l = &s->lane[lane];
	struct sent_record *r;

	if (lane >= s->lanes)
		return;
	while ((r = l->head) != NULL && r->exchange < exchange) {
		l->head = r->next;
		settle(s, l, r, fn, ctx);
	}
}

bool sent_pending(const struct sent *s, uint64_t lane)
{
	return lane < s->lanes && s->lane[lane].head != NULL;
}

uint64_t sent_flight(const struct sent *s, uint64_t lane)
{
	return lane < s->lanes ? s->lane[lane].flight : 0;
}

uint64_t sent_oldest(const struct sent *s, uint64_t lane)
{
	return sent_pending(s, lane) ? s->lane[lane].head->number :
	    UINT64_MAX;
}
