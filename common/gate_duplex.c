/*
 * The way down of a duplex lane: a response that carries what is small for as
 * long as the client wants it, instead of ending with each answer. It does so
 * only once the client has acknowledged its beginning while it went on: before,
 * what it carries may lie in a proxy until it ends.
 */
#include "config.h"

#include "common/gate_impl.h"

/* Is it known that the path hands it on as it comes? */
static bool streams(struct gate_exchange *x)
{
	if (!x->streams && x->sent > 0 && gate_is_shown(x)) {
		x->streams = true;
		x->gs->shown_ms = x->g->now_ms;
	}
	return x->streams;
}

void gate_lasting_end(struct gate_session *gs)
{
	struct gate_exchange *x = gs->lasting;

	if (x == NULL)
		return;
	gs->lasting = NULL;
	x->finish = true;
	if (x->state == GATE_WAITING)
		gate_ready(x);
}

void gate_lasting_begin(struct gate_exchange *x, uint64_t now_ms)
{
	struct gate_session *gs = x->gs;

	/* One that takes over from another goes on at once. */
	x->streams = gs->lasting != NULL && streams(gs->lasting);
	gate_lasting_end(gs);
	gs->lasting = x;
	x->hold_until_ms = now_ms + x->hold_ms;
	x->oldest = UINT64_MAX;
}

bool gate_lasting_answers(struct gate_session *gs)
{
	struct gate_exchange *x = gs->lasting;

	if (x == NULL || x->finish || !streams(x))
		return false;
	if (x->state == GATE_WAITING)
		gate_ready(x);
	return true;
}

/*
 * It ends when it has had nothing to say for as long as a request is held, or
 * for so long what it said was not acknowledged: if it is kept somewhere, its
 * end lets it go.
 */
static void wait(struct gate_exchange *x, uint64_t now_ms)
{
	uint64_t oldest = session_lane_oldest(x->gs->session, x->lane);

	if (oldest != x->oldest)
		x->hold_until_ms = now_ms + x->hold_ms;
	x->oldest = oldest;
	x->state = GATE_WAITING;
	if (session_backlog(x->gs->session) > 0)	/* bulk, for others */
		gate_session_dirty(x->gs);
	gate_due_at(x, x->hold_until_ms);
}

static enum session_take what_to_take(struct gate_exchange *x)
{
	if (streams(x))
		return TAKE_QUICK;
	return x->begun ? TAKE_NOTHING : TAKE_PING;
}

size_t gate_lasting_pull(struct gate_exchange *x, uint8_t *out, size_t room,
    bool *done, uint64_t now_ms)
{
	struct gate_session *gs = x->gs;
	struct session_fill f = {
		.lane = x->lane, .exchange = x->exchange,
		.take = what_to_take(x), .ack = !x->begun,
	};
	size_t n;

	if (!x->begun) {
		session_ping(gs->session);	/* to be acknowledged */
		x->begun_ms = now_ms;
		x->first_number = session_sent_number(gs->session) + 1;
	}
	f.must_end = x->finish || x->sent + room >= gs->response_cap ||
	    now_ms - x->begun_ms > x->g->cfg.response_ms;
	if (!f.must_end && !session_has_work(gs->session, f.take, now_ms)) {
		wait(x, now_ms);
		return 0;
	}
	x->begun = true;
	n = gate_fill(x, &f, out, room, done, now_ms);
	if (*done)
		gate_session_dirty(gs);
	else if (n == 0)
		wait(x, now_ms);
	return n;
}
