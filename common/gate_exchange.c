/* Requests: how they arrive, and to which session and lane they belong. */
#include "config.h"

#include "common/gate_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* The response is over, or nobody is there to read it. */
void gate_exchange_detach(struct gate_exchange *x)
{
	struct gate_session *gs = x->gs;

	gate_due_remove(x);
	if (gs == NULL)
		return;
	gate_unhold(x);
	if (x->pours)
		gate_session_dirty(gs);
	gate_stop_pouring(x);
	if (gs->lasting == x)
		gs->lasting = NULL;
	if (x->head && x->lane < gs->lanes && gs->lane[x->lane].x == x)
		gs->lane[x->lane].x = NULL;
	if (x->prev != NULL)
		x->prev->next = x->next;
	else
		gs->exchanges = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	x->gs = NULL;
}

static void attach(struct gate_exchange *x, struct gate_session *gs)
{
	x->gs = gs;
	x->prev = NULL;
	x->next = gs->exchanges;
	if (x->next != NULL)
		x->next->prev = x;
	gs->exchanges = x;
}

void gate_exchange_orphan(struct gate_exchange *x)
{
	bool waited = x->state == GATE_WAITING;

	gate_exchange_detach(x);
	x->state = GATE_REFUSED;
	if (waited)
		x->on_ready(x->ctx);
}

/* ---- requests --------------------------------------------------------- */

int gate_exchange_new(struct gate_exchange **out, struct gate *g,
    const uint8_t id[RECORD_ID_LEN], void (*on_ready)(void *ctx), void *ctx)
{
	struct gate_exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return ERR_NOMEM;
	x->g = g;
	x->on_ready = on_ready;
	x->ctx = ctx;
	x->state = GATE_READING;
	memcpy(x->id, id, sizeof(x->id));
	g->stats.exchanges++;
	g->stats.requests++;
	*out = x;
	return 0;
}

void gate_exchange_free(struct gate_exchange *x)
{
	if (x == NULL)
		return;
	gate_exchange_detach(x);
	x->g->stats.exchanges--;
	free(x->part);
	free(x->reply);
	free(x);
}

static void refuse(struct gate_exchange *x)
{
	gate_exchange_detach(x);
	x->state = GATE_REFUSED;
	x->g->stats.refused++;
}

/*
 * The exchange begins: its lane leaves the one before behind, and what that
 * one carried and was not acknowledged is lost.
 */
static void begin(struct gate_exchange *x, struct gate_lane *lane,
    const struct session_seen *seen)
{
	x->head = true;
	x->lane = seen->lane;
	x->exchange = seen->exchange;
	x->keep = seen->keep;
	x->lasting = seen->hold_ms > SESSION_LASTING && !gate_is_for_bulk(x);
	x->hold_ms = x->lasting ? seen->hold_ms - SESSION_LASTING :
	    seen->hold_ms;
	if (x->hold_ms > x->g->cfg.hold_max_ms)
		x->hold_ms = x->g->cfg.hold_max_ms;
	if (lane->used && seen->exchange <= lane->exchange) {
		x->stale = true;
		return;
	}
	if (lane->x != NULL) {
		struct gate_exchange *old = lane->x;

		old->stale = true;
		gate_stop_pouring(old);
		if (x->gs->lasting == old)
			x->gs->lasting = NULL;
		if (old->state == GATE_WAITING)
			gate_ready(old);
	}
	lane->used = true;
	lane->exchange = seen->exchange;
	lane->x = x;
	session_lane_begin(x->gs->session, seen->lane, seen->exchange);
}

/*
 * Acknowledgements for a response that is still going on: the path hands
 * bytes on at once, so it may go on for longer.
 */
static void learn(struct gate_session *gs)
{
	struct gate_exchange *x;

	for (x = gs->exchanges; x != NULL; x = x->next) {
		if (!x->pours || !x->begun || !gate_is_shown(x))
			continue;
		gs->stores = false;
		gs->shown_ms = gs->g->now_ms;
		if (x->sent < gs->response_cap / 2)
			continue;
		gs->response_cap *= 2;
		if (gs->response_cap > gs->g->cfg.response_max)
			gs->response_cap = gs->g->cfg.response_max;
		return;
	}
}

/* Told once for each record with streams refused for the cap. */
static void note_refused(struct gate_session *gs)
{
	uint64_t refused = session_streams_refused(gs->session);

	if (refused == gs->streams_refused)
		return;
	gs->streams_refused = refused;
	gate_limit(gs->g, GATE_LIMIT_STREAMS,
	    session_limits(gs->session)->max_streams, gs->key, gs->id);
}

static void take_record(struct gate_exchange *x, const uint8_t *record,
    size_t len, uint64_t now_ms)
{
	struct gate_session *gs = x->gs;
	struct session_seen seen;
	struct gate_lane *lane;
	int rc;

	rc = session_receive(gs->session, record, len, now_ms, &seen);
	if (rc == ERR_CRYPTO || rc == ERR_NOMEM) {
		refuse(x);
		return;
	}
	gate_session_confirm(gs);
	if (!seen.duplicate)	/* anyone could have repeated it */
		gate_session_used(gs, now_ms);
	x->g->stats.bytes_in += len;
	note_refused(gs);
	if (x->head)
		return;
	if (seen.has_exchange) {
		lane = gate_session_lane(gs, seen.lane);
		if (lane != NULL)
			begin(x, lane, &seen);
		else
			refuse(x);
	} else {		/* a repetition, or no request of a client's */
		x->stale = true;
		x->head = true;
		x->lane = SESSION_LANES - 1;
	}
}

/* Whatever it is, collect until it is whole. Returns the bytes used. */
static size_t gather(struct gate_exchange *x, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	size_t whole, want;
	int rc;

	if (x->part == NULL && (x->part = malloc(RECORD_MAX)) == NULL) {
		refuse(x);
		return len;
	}
	rc = record_peek(x->part, x->part_len, &whole);
	if (rc == ERR_PROTO) {
		refuse(x);
		return len;
	}
	want = (rc == 0 ? whole : RECORD_HEAD) - x->part_len;
	if (want > len)
		want = len;
	memcpy(x->part + x->part_len, data, want);
	x->part_len += want;
	if (rc == 0 && x->part_len == whole) {
		x->part_len = 0;
		take_record(x, x->part, whole, now_ms);
	}
	return want;
}

static void take_records(struct gate_exchange *x, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	size_t whole, n;

	while (len > 0 && x->state == GATE_READING) {
		if (x->part_len == 0 && record_peek(data, len, &whole) == 0 &&
		    whole <= len) {
			take_record(x, data, whole, now_ms);
			n = whole;
		} else {
			n = gather(x, data, len, now_ms);
		}
		data += n;
		len -= n;
	}
}

static void take_hello(struct gate_exchange *x, const uint8_t *data,
    size_t len)
{
	if (len > HELLO_MAX - x->part_len ||
	    (x->part == NULL && (x->part = malloc(RECORD_MAX)) == NULL)) {
		refuse(x);
		return;
	}
	memcpy(x->part + x->part_len, data, len);
	x->part_len += len;
}

/* The first byte tells a hello from records, and those need a session. */
static void recognise(struct gate_exchange *x, uint8_t first)
{
	struct gate_session *gs;

	if (first & 0x80) {
		x->kind = KIND_HELLO;
		return;
	}
	x->kind = KIND_RECORDS;
	gs = gate_find(x->g, x->id);
	if (gs == NULL)
		refuse(x);
	else
		attach(x, gs);
}

uint64_t gate_exchange_max(const struct gate_exchange *x)
{
	const struct gate_config *c = &x->g->cfg;

	return gate_exchange_is_known(x) &&
	    c->open_request_max > c->request_max ?
	    c->open_request_max : c->request_max;
}

void gate_exchange_body(struct gate_exchange *x, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	uint64_t max = gate_exchange_max(x);

	if (x->state != GATE_READING || len == 0)
		return;
	/* It may have been lowered since some of it was received. */
	if (x->received > max || len > max - x->received) {
		refuse(x);
		return;
	}
	x->received += len;
	if (x->kind == KIND_NONE)
		recognise(x, data[0]);
	if (x->state != GATE_READING)
		return;
	x->g->now_ms = now_ms;
	if (x->kind == KIND_HELLO)
		take_hello(x, data, len);
	else
		take_records(x, data, len, now_ms);
}

void gate_exchange_body_end(struct gate_exchange *x, uint64_t now_ms)
{
	struct gate_session *gs;

	x->g->now_ms = now_ms;
	if (x->state != GATE_READING)
		return;
	if (x->kind == KIND_HELLO) {
		gate_hello(x, now_ms);
		return;
	}
	gs = x->gs;
	if (gs == NULL || !x->head) {
		refuse(x);
		return;
	}
	x->state = GATE_READY;
	x->finish = gs->ended || x->g->letting_go;
	if (x->stale || gs->ended)
		return;
	learn(gs);
	if (x->part_len > 0)	/* its end was lost on the way: */
		x->hold_ms = 0;	/* the client learns it by the answer */
	if (x->hold_ms == 0 || x->finish)
		x->lasting = false;
	if (x->lasting) {
		gate_lasting_begin(x, now_ms);
	} else if (x->hold_ms > 0 && !x->finish) {
		if (!gate_is_for_bulk(x))
			gs->keep = x->keep;
		x->hold_until_ms = now_ms + x->hold_ms;
		gate_hold(x);
	}
	gate_session_dirty(gs);
}

enum gate_state gate_exchange_state(const struct gate_exchange *x)
{
	return x->state;
}

bool gate_exchange_is_known(const struct gate_exchange *x)
{
	return x->reply_len > 0 || (x->head && !x->stale);
}
