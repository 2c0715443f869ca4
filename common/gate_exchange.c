/* One request and its response; and which of a session's is answered when. */
#include "config.h"

#include "common/gate_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/*
 * A response with more than a little in it stays open for a moment when the
 * queue runs dry: Domino's answer comes in several reads, and what just missed
 * its response would wait for the next request, a round trip.
 */
#define SMALL_BYTES 4096u
#define GRACE_MS 3u
#define BULK_BYTES STREAM_BULK_BYTES
#define BULK_GRACE_MS 10u
/*
 * A response that has to wait for an ACK goes on when that comes. If the path
 * keeps all of it until it ends, none will come.
 */
#define STALL_MS 100u		/* beyond four round trips */
#define STALL_FIRST_MS 1000u	/* while those are not known */
/*
 * Bulk begins on a lane for what is small, whose connection is warm, and goes
 * over to those for bulk when they have had some round trips to get up speed.
 */
#define QUICK_WINDOW 65536u	/* and twice what a round trip carries */
#define HANDOVER_ROUNDS 4u
#define LANE_WINDOW_MIN 32768u	/* in flight in one of several responses */

/* ---- the list of what is due ------------------------------------------ */

static void due_remove(struct gate_exchange *x)
{
	struct gate *g = x->g;

	if (!x->is_due)
		return;
	x->is_due = false;
	if (x->due_prev != NULL)
		x->due_prev->due_next = x->due_next;
	else
		g->due_head = x->due_next;
	if (x->due_next != NULL)
		x->due_next->due_prev = x->due_prev;
	else
		g->due_tail = x->due_prev;
}

/* Holds are mostly of one length, so the place is near the tail. */
static void due_at(struct gate_exchange *x, uint64_t when)
{
	struct gate *g = x->g;
	struct gate_exchange *after = g->due_tail;

	due_remove(x);
	while (after != NULL && after->due_ms > when)
		after = after->due_prev;
	x->is_due = true;
	x->due_ms = when;
	x->due_prev = after;
	x->due_next = after != NULL ? after->due_next : g->due_head;
	if (x->due_prev != NULL)
		x->due_prev->due_next = x;
	else
		g->due_head = x;
	if (x->due_next != NULL)
		x->due_next->due_prev = x;
	else
		g->due_tail = x;
}

/* ---- held ones -------------------------------------------------------- */

static bool is_for_bulk(const struct gate_exchange *x)
{
	return x->lane >= SESSION_BULK_LANE;
}

static struct gate_held *list_of(const struct gate_exchange *x)
{
	return is_for_bulk(x) ? &x->gs->bulk : &x->gs->held;
}

static void hold(struct gate_exchange *x)
{
	struct gate_held *l = list_of(x);

	x->state = GATE_WAITING;
	x->is_held = true;
	x->held_next = NULL;
	*l->tail = x;
	l->tail = &x->held_next;
	l->count++;
	due_at(x, x->hold_until_ms);
}

static void unhold(struct gate_exchange *x)
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
static void ready(struct gate_exchange *x)
{
	bool waited = x->state == GATE_WAITING;

	if (x->gs != NULL)
		unhold(x);
	due_remove(x);
	x->state = GATE_READY;
	if (waited)
		x->on_ready(x->ctx);
}

static void stop_pouring(struct gate_exchange *x)
{
	if (!x->pours)
		return;
	x->pours = false;
	x->gs->pouring--;
}

static void start_pouring(struct gate_exchange *x)
{
	if (x->pours)
		return;
	x->pours = true;
	x->gs->pouring++;
}

/* The response is over, or nobody is there to read it. */
static void detach(struct gate_exchange *x)
{
	struct gate_session *gs = x->gs;

	due_remove(x);
	if (gs == NULL)
		return;
	unhold(x);
	if (x->pours)
		gate_session_dirty(gs);
	stop_pouring(x);
	if (x->head && gs->lane[x->lane].x == x)
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

	detach(x);
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
	*out = x;
	return 0;
}

void gate_exchange_free(struct gate_exchange *x)
{
	if (x == NULL)
		return;
	detach(x);
	x->g->stats.exchanges--;
	free(x->part);
	free(x->reply);
	free(x);
}

static void refuse(struct gate_exchange *x)
{
	detach(x);
	x->state = GATE_REFUSED;
	x->g->stats.refused++;
}

/*
 * The exchange begins: its lane leaves the one before behind, and what that
 * one carried and was not acknowledged is lost.
 */
static void begin(struct gate_exchange *x, const struct session_seen *seen)
{
	struct gate_lane *lane = &x->gs->lane[seen->lane];

	x->head = true;
	x->lane = seen->lane;
	x->exchange = seen->exchange;
	x->keep = seen->keep;
	x->hold_ms = seen->hold_ms < x->g->cfg.hold_max_ms ? seen->hold_ms :
	    x->g->cfg.hold_max_ms;
	if (lane->used && seen->exchange <= lane->exchange) {
		x->stale = true;
		return;
	}
	if (lane->x != NULL) {
		struct gate_exchange *old = lane->x;

		old->stale = true;
		stop_pouring(old);
		if (old->state == GATE_WAITING)
			ready(old);
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
		if (!x->pours || !x->begun || session_lane_oldest(gs->session,
		    x->lane) <= x->first_number)
			continue;
		gs->stores = false;
		if (x->sent < gs->response_cap / 2)
			continue;
		gs->response_cap *= 2;
		if (gs->response_cap > gs->g->cfg.response_max)
			gs->response_cap = gs->g->cfg.response_max;
		return;
	}
}

/* One line for each burst of streams refused for the cap. */
static void note_refused(struct gate_session *gs)
{
	uint64_t refused = session_streams_refused(gs->session);

	if (refused == gs->streams_refused)
		return;
	gs->streams_refused = refused;
	gate_note(gs->g, "limit reached limit=max_streams value=%" PRIu64,
	    session_limits(gs->session)->max_streams);
}

static void take_record(struct gate_exchange *x, const uint8_t *record,
    size_t len, uint64_t now_ms)
{
	struct gate_session *gs = x->gs;
	struct session_seen seen;
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
		begin(x, &seen);
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

void gate_exchange_body(struct gate_exchange *x, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	if (x->state != GATE_READING || len == 0)
		return;
	if (len > x->g->cfg.request_max - x->received) {
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
	x->finish = gs->ended;
	if (x->stale || gs->ended)
		return;
	learn(gs);
	if (x->hold_ms > 0) {
		if (!is_for_bulk(x))
			gs->keep = x->keep;
		x->hold_until_ms = now_ms + x->hold_ms;
		hold(x);
	}
	gate_session_dirty(gs);
}

enum gate_state gate_exchange_state(const struct gate_exchange *x)
{
	return x->state;
}

/* ---- which one is answered -------------------------------------------- */

/* Are there lanes for bulk, so that others need not carry it? */
static bool has_bulk_lanes(const struct gate_session *gs)
{
	const struct gate_exchange *x;

	if (gs->bulk.count > 0)
		return true;
	for (x = gs->exchanges; x != NULL; x = x->next)
		if (x->pours && is_for_bulk(x))
			return true;
	return false;
}

/*
 * Of several, each carries its share of the congestion window and a little
 * more: what waits behind a lost packet in one cannot go by another.
 */
static uint64_t lane_window(const struct gate_session *gs)
{
	uint64_t share, window = session_window(gs->session);
	unsigned n = gs->pouring + (gs->bulk.count > 0 ? 1 : 0);

	if (n <= 1)
		return UINT64_MAX;
	share = (window + window / 4) / n;
	return share > LANE_WINDOW_MIN ? share : LANE_WINDOW_MIN;
}

/* Have the lanes for bulk taken over? */
static bool handed_over(const struct gate_session *gs, uint64_t now_ms)
{
	uint64_t rtt = session_rtt_ms(gs->session);

	return gs->poured_ms != 0 && rtt != UINT64_MAX &&
	    now_ms - gs->poured_ms > HANDOVER_ROUNDS * rtt;
}

/* On a connection in slow start twice as much arrives in each round trip. */
static void note_arrived(struct gate_exchange *x, uint64_t now_ms)
{
	uint64_t rtt = session_rtt_ms(x->gs->session);
	uint64_t flight = session_lane_flight(x->gs->session, x->lane);
	uint64_t arrived = x->sent > flight ? x->sent - flight : 0;

	if (arrived - x->arrived_mark > x->arrived_round)
		x->arrived_round = arrived - x->arrived_mark;
	if (rtt == UINT64_MAX || now_ms - x->mark_ms < rtt)
		return;
	x->arrived_round = arrived - x->arrived_mark;
	x->arrived_mark = arrived;
	x->mark_ms = now_ms;
}

static uint64_t lane_room(const struct gate_exchange *x)
{
	uint64_t flight = session_lane_flight(x->gs->session, x->lane);
	uint64_t window = is_for_bulk(x) ? lane_window(x->gs) :
	    QUICK_WINDOW + 2 * x->arrived_round;

	return window > flight ? window - flight : 0;
}

/* Is one on its way already that takes what is small? */
static bool is_quick_ready(const struct gate_session *gs)
{
	const struct gate_exchange *x;

	for (x = gs->exchanges; x != NULL; x = x->next)
		if (x->quick && x->state == GATE_READY)
			return true;
	return false;
}

/*
 * What is small goes by a response that is about to begin, or that has not
 * carried much and has nothing more to say; or by its own.
 */
static void answer_quickly(struct gate_session *gs)
{
	struct gate_exchange *x;

	for (x = gs->exchanges; x != NULL; x = x->next)
		if (x->pours && !is_for_bulk(x) && (!x->begun ||
		    (x->state == GATE_WAITING && x->sent <= BULK_BYTES))) {
			if (x->state == GATE_WAITING)
				ready(x);
			return;
		}
	if (is_quick_ready(gs))
		return;
	x = gs->held.head;
	if (x != NULL) {
		x->quick = true;
		ready(x);
		return;
	}
	for (x = gs->exchanges; x != NULL; x = x->next)
		if (x->pours && x->state == GATE_WAITING) {
			ready(x);
			return;
		}
}

static void pour(struct gate_exchange *x)
{
	start_pouring(x);
	ready(x);
}

/*
 * Bulk goes by all responses that have room; when none of them waits for it,
 * as each takes what its connection lets through, by one more.
 */
static void pour_on(struct gate_session *gs, uint64_t now_ms)
{
	struct gate_exchange *x, *next;
	bool waited = false;

	for (x = gs->exchanges; x != NULL; x = next) {
		next = x->next;
		if (x->pours && !is_for_bulk(x))
			note_arrived(x, now_ms);
		if (x->pours && x->state == GATE_WAITING && lane_room(x) > 0) {
			waited = true;
			ready(x);
		}
	}
	if (waited)
		return;
	if (gs->bulk.head != NULL)
		pour(gs->bulk.head);
	else if (gs->pouring == 0 && gs->held.head != NULL)
		pour(gs->held.head);
}

static void answer_all(struct gate_held *l, uint64_t keep)
{
	while (l->count > keep) {
		l->head->finish = true;
		ready(l->head);
	}
}

void gate_exchange_policy(struct gate_session *gs, uint64_t now_ms)
{
	if (!has_bulk_lanes(gs))
		gs->poured_ms = 0;
	answer_all(&gs->held, gs->ended ? 0 : gs->keep);
	if (gs->ended)
		answer_all(&gs->bulk, 0);
	if (gs->held.head != NULL && session_owes_ack(gs->session) &&
	    gs->held.head->due_ms > now_ms + SESSION_ACK_MS)
		due_at(gs->held.head, now_ms + SESSION_ACK_MS);
	if (session_has_work(gs->session, TAKE_QUICK, now_ms)) {
		if (gs->pouring > 0)
			answer_quickly(gs);
		else if (gs->held.head != NULL)
			pour(gs->held.head);
	}
	if (session_has_work(gs->session, TAKE_BULK, now_ms))
		pour_on(gs, now_ms);
}

void gate_exchange_due(struct gate_exchange *x, uint64_t now_ms)
{
	(void)now_ms;
	due_remove(x);
	x->finish = true;
	if (x->stalled && x->gs != NULL)
		x->gs->stores = true;
	if (x->state == GATE_WAITING)
		ready(x);
}

/* ---- responses -------------------------------------------------------- */

/* How long a response waits that has nothing to say for the moment. */
static uint64_t patience(const struct gate_exchange *x)
{
	uint64_t rtt = session_rtt_ms(x->gs->session);

	if (x->stalled)
		return rtt == UINT64_MAX ? STALL_FIRST_MS :
		    4 * rtt + STALL_MS;
	return x->sent > BULK_BYTES ? BULK_GRACE_MS : GRACE_MS;
}

/* Nothing was left to say after all: go on waiting. */
static size_t wait_again(struct gate_exchange *x, uint64_t now_ms)
{
	x->quick = false;
	if (!x->begun) {
		stop_pouring(x);
		hold(x);
		return 0;
	}
	x->stalled = session_backlog(x->gs->session) > 0;
	x->state = GATE_WAITING;
	due_at(x, now_ms + patience(x));
	return 0;
}

static size_t pull_reply(struct gate_exchange *x, uint8_t *out, bool *done)
{
	memcpy(out, x->reply, x->reply_len);
	*done = true;
	return x->reply_len;
}

/*
 * END names no exchange: of two answers to a repeated request the client may
 * get this one, and must not take it for the one with the data.
 */
static size_t pull_stale(struct gate_exchange *x, uint8_t *out, size_t room,
    uint64_t now_ms, bool *done)
{
	struct session_fill f = {
		.lane = x->lane, .exchange = 0,
		.take = TAKE_NOTHING, .ack = true, .must_end = true,
	};
	size_t n;

	n = session_fill(x->gs->session, &f, out, room, now_ms, done);
	*done = true;
	return n;
}

/* What goes into this response now. */
static enum session_take what_to_take(const struct gate_exchange *x)
{
	const struct gate_session *gs = x->gs;

	if (is_for_bulk(x))
		return lane_room(x) > 0 ? TAKE_BULK : TAKE_NOTHING;
	if (x->quick || lane_room(x) == 0 ||
	    (!x->pours && (gs->pouring > 0 || has_bulk_lanes(gs))))
		return TAKE_QUICK;
	return x->sent > BULK_BYTES && gs->held.count > 0 ? TAKE_BULK :
	    TAKE_ALL;
}

static size_t pull_records(struct gate_exchange *x, uint8_t *out, size_t room,
    uint64_t now_ms, bool *done)
{
	struct gate_session *gs = x->gs;
	struct session_fill f = {
		.lane = x->lane, .exchange = x->exchange,
		.take = what_to_take(x), .ack = !x->begun,
	};
	bool full = x->begun && now_ms - x->begun_ms > x->g->cfg.response_ms;
	size_t n;

	if (x->sent + room >= gs->response_cap) {
		full = true;
		room = x->sent + GATE_PULL_MIN < gs->response_cap ?
		    (size_t)(gs->response_cap - x->sent) : GATE_PULL_MIN;
	}
	if (f.take > TAKE_QUICK && lane_room(x) < room)
		room = lane_room(x) > GATE_PULL_MIN ? (size_t)lane_room(x) :
		    GATE_PULL_MIN;
	if (x->pours && !is_for_bulk(x) && x->sent > BULK_BYTES &&
	    handed_over(gs, now_ms))
		x->finish = true;
	if (x->begun && gs->stores && session_backlog(gs->session) > 0 &&
	    session_bulk_room(gs->session) == 0)
		x->finish = true;
	if (!x->finish && !full && x->hold_ms > 0 &&
	    !session_has_work(gs->session, f.take, now_ms))
		return wait_again(x, now_ms);
	if (!x->begun) {
		x->begun_ms = x->mark_ms = now_ms;
		x->first_number = session_sent_number(gs->session) + 1;
		if (f.take > TAKE_QUICK)
			start_pouring(x);
		if (is_for_bulk(x) && gs->poured_ms == 0)
			gs->poured_ms = now_ms;
	}
	f.must_end = full || x->finish;
	/* More than a little: leave it open, see GRACE_MS. */
	f.may_end = !x->pours || x->hold_ms == 0 ||
	    x->sent + session_backlog(gs->session) <= SMALL_BYTES;
	x->begun = true;
	n = session_fill(gs->session, &f, out, room, now_ms, done);
	x->sent += n;
	x->g->stats.bytes_out += n;
	if (*done)
		detach(x);
	else if (n == 0)
		(void)wait_again(x, now_ms);
	return n;
}

size_t gate_exchange_pull(struct gate_exchange *x, uint8_t *out, size_t room,
    bool *done, uint64_t now_ms)
{
	size_t n;

	*done = false;
	if (x->reply != NULL)
		return pull_reply(x, out, done);
	if (x->gs == NULL) {	/* the session is gone */
		*done = true;
		return 0;
	}
	if (!x->stale)
		return pull_records(x, out, room, now_ms, done);
	n = pull_stale(x, out, room, now_ms, done);
	detach(x);
	return n;
}
