/*
 * Is the path still there? Where nobody says that the network has changed, or
 * it has changed beyond this machine, connections die without a word.
 */
#include "config.h"

#include "common/lanes_impl.h"

#define PATIENCE_MS 1000u	/* a few retransmissions of TCP's */
#define PATIENCE_RTTS 4u	/* a new connection takes no more */
#define RTT_UNKNOWN_MS 500u
#define SHIFT_MAX 3u		/* after false alarms: eight times */
#define CHECK_MS 200u		/* and two round trips, after the last bulk */
#define SLOW_BYTES_PER_MS 32u	/* what a slow path sends at least */

uint64_t lanes_rtt_ms(const struct lanes *l)
{
	uint64_t rtt = UINT64_MAX;

	if (l->session != NULL)
		rtt = session_rtt_ms(l->session);
	return rtt == UINT64_MAX ? RTT_UNKNOWN_MS : rtt;
}

uint64_t lanes_patience(const struct lanes *l)
{
	uint64_t wait = PATIENCE_MS + PATIENCE_RTTS * lanes_rtt_ms(l);

	return wait < l->cfg.silence_ms ? wait : l->cfg.silence_ms;
}

/*
 * Until when an exchange has to show some of its answer, from when the gateway
 * is to answer it; UINT64_MAX for one that goes on. Bodies of bulk follow what
 * the path carries in a few round trips; others may be large for it.
 */
static uint64_t due_at(const struct lanes *l, const struct slot *s)
{
	uint64_t from = s->heard_ms, wait;

	if (!s->busy || s->open || s->lasting)
		return UINT64_MAX;
	wait = lanes_patience(l) << l->doubt_shift;
	if (s->due_ms > from)
		from = s->due_ms;
	else if (s->hold_ms > 0 && !s->answered && s->due_ms == 0)
		from = s->start_ms + s->hold_ms;
	if (l->heard_ms > from)		/* the path is there */
		from = l->heard_ms;
	if (!s->answered && !s->bulk)
		wait += s->body_len / SLOW_BYTES_PER_MS;
	return from + wait;
}

/* A question that could not be repeated elsewhere. */
static uint64_t question_due_at(const struct lanes *l)
{
	uint64_t from = session_overdue_at(l->session);

	if (from == UINT64_MAX)
		return from;
	if (l->heard_ms > from)
		from = l->heard_ms;
	return from + (lanes_patience(l) << l->doubt_shift);
}

uint64_t lanes_check_at(const struct lanes *l)
{
	if (l->bulk_ms <= l->checked_ms)
		return UINT64_MAX;
	return l->heard_ms + CHECK_MS + 2 * lanes_rtt_ms(l);
}

uint64_t lanes_doubt_at(const struct lanes *l)
{
	uint64_t at, least;

	if (l->rounds > 0 || l->session == NULL || l->need_hello)
		return UINT64_MAX;
	least = question_due_at(l);
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		at = i == LANES_HELLO ? UINT64_MAX : due_at(l, &l->slot[i]);
		if (at < least)
			least = at;
	}
	return least;
}

/* It may be a false alarm: what is under way goes on, one more tries. */
void lanes_doubt(struct lanes *l, uint64_t now_ms)
{
	if (now_ms < lanes_doubt_at(l))
		return;
	/* Perhaps Domino is just slow. */
	l->guessing = now_ms >= question_due_at(l);
	if (l->guessing && l->doubt_shift < SHIFT_MAX)
		l->doubt_shift++;
	l->doubting = true;
	l->rounds = 1;
	l->round_ms = l->failing_ms = now_ms;
	l->retry_ms = 0;
	l->stats.silences++;
	if (l->ops->on_silence != NULL)
		l->ops->on_silence(l->ctx, now_ms - l->heard_ms);
}

void lanes_doubt_over(struct lanes *l)
{
	if (l->doubting && !l->guessing)
		l->doubt_shift = 0;	/* it was justified */
	l->doubting = false;
}

void lanes_heard(struct lanes *l, const struct slot *s, uint64_t now_ms)
{
	l->heard_ms = now_ms;
	if (!l->doubting || s->start_ms >= l->round_ms)
		return;
	l->doubting = false;	/* it was only slow */
	l->rounds = 0;
	l->retry_ms = 0;
	if (l->doubt_shift < SHIFT_MAX)
		l->doubt_shift++;
}

void lanes_note_overtaken(struct lanes *l, unsigned keep, uint64_t now_ms)
{
	for (;;) {
		struct slot *oldest = NULL;
		unsigned held = 0;

		for (unsigned i = 0; i < SESSION_BULK_LANE; i++) {
			struct slot *s = &l->slot[i];

			if (!s->busy || s->hold_ms == 0 || s->answered ||
			    s->due_ms > 0)
				continue;
			held++;
			if (oldest == NULL || s->start_ms < oldest->start_ms)
				oldest = s;
		}
		if (held <= keep)
			return;
		oldest->due_ms = now_ms;
	}
}
