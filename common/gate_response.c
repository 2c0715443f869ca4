/* What goes into a response, and when it ends. */
#include "config.h"

#include "common/gate_impl.h"

#include <string.h>

/*
 * A response with more than a little in it stays open for a moment when the
 * queue runs dry: Domino's answer comes in several reads, and what just missed
 * its response would wait for the next request, a round trip.
 */
#define SMALL_BYTES 4096u
#define GRACE_MS 3u
#define BULK_GRACE_MS 10u
/*
 * A response that has to wait for an ACK goes on when that comes. If the path
 * keeps all of it until it ends, none will come. (Nor for a while, if a packet
 * was lost; so it is tried again.)
 */
#define STORES_MS 20000u
#define STALL_MS 100u		/* beyond four round trips */
#define STALL_FIRST_MS 1000u	/* while those are not known */

void gate_exchange_due(struct gate_exchange *x, uint64_t now_ms)
{
	struct gate_session *gs = x->gs;

	gate_due_remove(x);
	x->finish = true;
	if (x->stalled && gs != NULL && (gs->shown_ms == 0 ||
	    now_ms - gs->shown_ms > STORES_MS)) {
		gs->stores = true;
		gs->stores_ms = now_ms;
	}
	if (x->state == GATE_WAITING)
		gate_ready(x);
}

/* How long a response waits that has nothing to say for the moment. */
static uint64_t patience(const struct gate_exchange *x)
{
	uint64_t rtt = session_rtt_ms(x->gs->session);

	if (x->stalled)
		return rtt == UINT64_MAX ? STALL_FIRST_MS :
		    4 * rtt + STALL_MS;
	return x->sent > STREAM_BULK_BYTES ? BULK_GRACE_MS : GRACE_MS;
}

/*
 * Nothing was left to say after all: go on waiting. What is small and comes
 * meanwhile does not make the wait for an ACK longer.
 */
static size_t wait_again(struct gate_exchange *x, uint64_t now_ms)
{
	x->quick = false;
	if (!x->begun) {
		gate_stop_pouring(x);
		gate_hold(x);
		return 0;
	}
	if (!x->stalled && session_backlog(x->gs->session) > 0) {
		x->stalled = true;
		x->stalled_ms = now_ms;
	}
	x->state = GATE_WAITING;
	gate_due_at(x, (x->stalled ? x->stalled_ms : now_ms) + patience(x));
	return 0;
}

bool gate_is_shown(const struct gate_exchange *x)
{
	return session_lane_oldest(x->gs->session, x->lane) > x->first_number;
}

size_t gate_fill(struct gate_exchange *x, const struct session_fill *f,
    uint8_t *out, size_t room, bool *done, uint64_t now_ms)
{
	size_t n = session_fill(x->gs->session, f, out, room, now_ms, done);

	x->sent += n;
	x->g->stats.bytes_out += n;
	if (*done)
		gate_exchange_detach(x);
	return n;
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

	if (gate_is_for_bulk(x))
		return gate_lane_room(x) > 0 ? TAKE_BULK : TAKE_NOTHING;
	if (x->quick || gate_lane_room(x) == 0 ||
	    (!x->pours && (gs->pouring > 0 || gate_has_bulk_lanes(gs))))
		return TAKE_QUICK;
	return x->sent > STREAM_BULK_BYTES && gs->held.count > 0 ? TAKE_BULK :
	    TAKE_ALL;
}

/* Does what is left have to wait until some of it has arrived? */
static bool needs_ack(const struct gate_exchange *x)
{
	const struct session *s = x->gs->session;

	return (session_bulk_room(s) == 0 || gate_lane_room(x) == 0) &&
	    session_backlog(s) > 0;
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
	if (f.take > TAKE_QUICK && gate_lane_room(x) < room)
		room = (size_t)gate_lane_room(x);
	if (room < GATE_PULL_MIN)
		room = GATE_PULL_MIN;
	if (x->pours && !gate_is_for_bulk(x) && x->sent > STREAM_BULK_BYTES &&
	    gate_handed_over(gs, now_ms))
		x->finish = true;
	if (gs->ended)		/* since it was to be answered */
		x->finish = true;
	if (!needs_ack(x))
		x->stalled = false;
	else if (x->begun && gs->stores &&
	    now_ms - gs->stores_ms <= STORES_MS)
		x->finish = true;
	if (!x->finish && !full && x->hold_ms > 0 &&
	    !session_has_work(gs->session, f.take, now_ms))
		return wait_again(x, now_ms);
	if (!x->begun) {
		x->begun_ms = x->mark_ms = now_ms;
		x->first_number = session_sent_number(gs->session) + 1;
		if (f.take > TAKE_QUICK)
			gate_start_pouring(x);
		if (gate_is_for_bulk(x) && gs->poured_ms == 0)
			gs->poured_ms = now_ms;
	}
	f.must_end = full || x->finish;
	/* More than a little: leave it open, see GRACE_MS. */
	f.may_end = !x->pours || x->hold_ms == 0 ||
	    x->sent + session_backlog(gs->session) <= SMALL_BYTES;
	x->begun = true;
	n = gate_fill(x, &f, out, room, done, now_ms);
	if (!*done && n == 0)
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
	if (!x->stale && x->lasting)
		return gate_lasting_pull(x, out, room, done, now_ms);
	if (!x->stale)
		return pull_records(x, out, room, now_ms, done);
	n = pull_stale(x, out, room, now_ms, done);
	gate_exchange_detach(x);
	return n;
}
