/* Which of a session's exchanges is answered when, and with what. */
#include "config.h"

#include "common/gate_impl.h"

/*
 * Bulk begins on a lane for what is small, whose connection is warm, and goes
 * over to those for bulk when they have had some round trips to get up speed.
 */
#define START_WINDOW 65536u	/* and some times a round trip's: */
#define QUICK_ROUNDS 4u
#define LANE_ROUNDS 8u
#define HANDOVER_ROUNDS 4u
#define LANE_WINDOW_MIN 32768u	/* in flight in one of several responses */

bool gate_has_bulk_lanes(const struct gate_session *gs)
{
	const struct gate_exchange *x;

	if (gs->bulk.count > 0)
		return true;
	for (x = gs->exchanges; x != NULL; x = x->next)
		if (x->pours && gate_is_for_bulk(x))
			return true;
	return false;
}

/* What a connection that begins has use for. */
static uint64_t start_window(const struct gate_exchange *x, unsigned rounds)
{
	return START_WINDOW + rounds * x->arrived_round;
}

/*
 * Of several, each carries its share of the congestion window and a little
 * more: what waits behind a lost packet in one cannot go by another. While the
 * warm connection still carries the bulk they take no more from it than a slow
 * start has use for.
 */
static uint64_t lane_window(const struct gate_exchange *x)
{
	const struct gate_session *gs = x->gs;
	uint64_t slow = start_window(x, LANE_ROUNDS);
	uint64_t share, window = session_window(gs->session);
	unsigned n = gs->pouring + (gs->bulk.count > 0 ? 1 : 0);

	if (n <= 1)
		return UINT64_MAX;
	share = (window + window / 4) / n;
	if (share < LANE_WINDOW_MIN)
		share = LANE_WINDOW_MIN;
	return gs->pouring_warm > 0 && slow < share ? slow : share;
}

bool gate_handed_over(const struct gate_session *gs, uint64_t now_ms)
{
	uint64_t rtt = session_rtt_ms(gs->session);

	return gs->poured_ms != 0 && rtt != UINT64_MAX &&
	    now_ms - gs->poured_ms > HANDOVER_ROUNDS * rtt;
}

/*
 * On a connection in slow start twice as much arrives in each round trip; when
 * that is known it is half a round trip old.
 */
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

uint64_t gate_lane_room(const struct gate_exchange *x)
{
	uint64_t flight = session_lane_flight(x->gs->session, x->lane);
	uint64_t window = gate_is_for_bulk(x) ? lane_window(x) :
	    start_window(x, QUICK_ROUNDS);

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
		if (x->pours && !gate_is_for_bulk(x) && (!x->begun ||
		    (x->state == GATE_WAITING &&
		    x->sent <= STREAM_BULK_BYTES))) {
			if (x->state == GATE_WAITING)
				gate_ready(x);
			return;
		}
	if (is_quick_ready(gs))
		return;
	x = gs->held.head;
	if (x != NULL) {
		x->quick = true;
		gate_ready(x);
		return;
	}
	for (x = gs->exchanges; x != NULL; x = x->next)
		if (x->pours && x->state == GATE_WAITING) {
			gate_ready(x);
			return;
		}
}

static void pour(struct gate_exchange *x)
{
	gate_start_pouring(x);
	gate_ready(x);
}

/*
 * Bulk goes by all responses that have room; when none of them waits for it,
 * as each takes what its connection lets through, by one more. But from a warm
 * connection all lanes for bulk take over together, as soon as they are there:
 * one alone would not be up to speed by then.
 */
static void pour_on(struct gate_session *gs, uint64_t now_ms)
{
	struct gate_exchange *x, *next;
	bool waited = false;

	for (x = gs->exchanges; x != NULL; x = next) {
		next = x->next;
		if (x->pours)
			note_arrived(x, now_ms);
		if (x->pours && x->state == GATE_WAITING &&
		    gate_lane_room(x) > 0) {
			waited = true;
			gate_ready(x);
		}
	}
	if (waited && (gs->pouring_warm == 0 || gs->bulk.head == NULL))
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
		gate_ready(l->head);
	}
}

void gate_exchange_policy(struct gate_session *gs, uint64_t now_ms)
{
	if (!gate_has_bulk_lanes(gs))
		gs->poured_ms = 0;
	answer_all(&gs->held, gs->ended ? 0 : gs->keep);
	if (gs->ended) {
		answer_all(&gs->bulk, 0);
		gate_lasting_end(gs);
	}
	if (gs->held.head != NULL && session_owes_ack(gs->session) &&
	    gs->held.head->due_ms > now_ms + SESSION_ACK_MS)
		gate_due_at(gs->held.head, now_ms + SESSION_ACK_MS);
	if (session_has_work(gs->session, TAKE_QUICK, now_ms) &&
	    !gate_lasting_answers(gs)) {
		if (gs->pouring > 0)
			answer_quickly(gs);
		else if (gs->held.head != NULL)
			pour(gs->held.head);
	}
	if (session_has_work(gs->session, TAKE_BULK, now_ms))
		pour_on(gs, now_ms);
}
