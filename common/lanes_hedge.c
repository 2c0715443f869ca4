#include "config.h"

#include "common/lanes_impl.h"

#include <stdlib.h>

#define HEDGE_COST 8u		/* in tokens; an exchange earns one */
#define HEDGE_TOKENS_MAX 64u
#define ARRIVE_MS 20u		/* and a round trip without a byte: no more come */
#define RTT_UNKNOWN_MS 100u

void lanes_earn_token(struct lanes *l)
{
	if (l->hedge_tokens < HEDGE_TOKENS_MAX)
		l->hedge_tokens++;
}

/* A slot for an exchange that was hedged, or LANES_SLOTS. */
static unsigned free_ghost(const struct lanes *l)
{
	unsigned i = LANES_HELLO + 1;

	while (i < LANES_SLOTS && l->slot[i].busy)
		i++;
	return i;
}

/*
 * To the gateway the new exchange leaves the old one behind: what the request
 * or its response carried is lost by the lane rule, and sent again. Whatever
 * of the old one still comes is taken all the same.
 */
void lanes_hedge(struct lanes *l, unsigned lane, uint64_t now_ms)
{
	struct slot *s = &l->slot[lane], *ghost;
	unsigned to = free_ghost(l);

	if (to == LANES_SLOTS || l->hedge_tokens < HEDGE_COST)
		return;
	l->hedge_tokens -= HEDGE_COST;
	l->hedged_ms = now_ms;
	l->stats.hedged++;
	ghost = &l->slot[to];
	free(ghost->body);
	free(ghost->part);
	*ghost = *s;
	ghost->due_ms = now_ms;
	ghost->lasting = false;
	l->ops->move(l->ctx, lane, to);
	*s = (struct slot){
		.exchange = ghost->exchange, .path = ghost->path, .hedges = true
	};
	lanes_start(l, lane, TAKE_ALL, true, now_ms);
}

static bool is_held(const struct slot *s)
{
	return s->busy && s->hold_ms > 0 && !s->answered;
}

uint64_t lanes_hedge_at(const struct lanes *l)
{
	uint64_t at = session_overdue_at(l->session);

	if (l->hedge_tokens < HEDGE_COST)
		return UINT64_MAX;
	return at > l->hedge_ms ? at : l->hedge_ms;
}

/* Of those held for what is small, the one that is answered next. */
static unsigned oldest_held(const struct lanes *l)
{
	unsigned oldest = SESSION_LANES;

	for (unsigned i = 0; i < SESSION_BULK_LANE; i++) {
		const struct slot *s = &l->slot[i];

		if (is_held(s) && (oldest == SESSION_LANES ||
		    s->start_ms < l->slot[oldest].start_ms))
			oldest = i;
	}
	return oldest;
}

/*
 * A long answer needs several round trips on a connection in slow start, before
 * any of it can be read. (On HTTP/1.1 others may be arriving by the same path,
 * on connections of their own.)
 */
static bool is_arriving(struct lanes *l, uint64_t now_ms)
{
	bool duplex = l->duplex.state == DUPLEX_ON;
	unsigned slot = duplex ? l->duplex.down : oldest_held(l);
	uint64_t rtt = session_rtt_ms(l->session), ago;

	if (l->ops->arrived == NULL || slot == SESSION_LANES ||
	    (!duplex && !l->http2))
		return false;
	if (rtt == UINT64_MAX)
		rtt = RTT_UNKNOWN_MS;
	ago = l->ops->arrived(l->ctx, slot);
	if (ago >= rtt + ARRIVE_MS)
		return false;
	l->hedge_ms = now_ms + rtt + ARRIVE_MS - ago;
	return true;
}

void lanes_hedge_run(struct lanes *l, uint64_t now_ms)
{
	unsigned question = SESSION_LANES, oldest;
	uint64_t asked_ms;

	if (now_ms < lanes_hedge_at(l) || is_arriving(l, now_ms))
		return;
	asked_ms = session_give_patience(l->session);
	lanes_duplex_hedge(l, now_ms);
	oldest = oldest_held(l);
	for (unsigned i = 0; i < SESSION_BULK_LANE; i++) {
		const struct slot *s = &l->slot[i];

		if (is_held(s) && s->asked && s->start_ms >= asked_ms &&
		    (question == SESSION_LANES ||
		    s->start_ms < l->slot[question].start_ms))
			question = i;
	}
	if (question != SESSION_LANES)
		lanes_hedge(l, question, now_ms);
	if (oldest != SESSION_LANES && oldest != question)
		lanes_hedge(l, oldest, now_ms);
}
