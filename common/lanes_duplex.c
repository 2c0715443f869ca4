/*
 * A duplex lane: where the path hands bytes on as they come, in both
 * directions, a question and its answer need no exchange of their own. They go
 * by two that stay open, each by one half: the body of `up`, and the response
 * of `down`. (Not by the two halves of one: few servers answer before they
 * have the whole body.)
 *
 * That the path does so is shown by acknowledgements that come while both are
 * open, and used as long as nothing speaks against it. All else goes on
 * beside it as ever, and takes over at once.
 */
#include "config.h"

#include "common/lanes_impl.h"

#define NONE SESSION_LANES
#define QUESTION_GAP_MS 1000u	/* that ends the row */
#define TRY_MS 1000u		/* and two round trips, to be shown */
#define TIMED_MS 30u		/* and 9/8 of one, from PING to PONG */
#define IDLE_MS 3000u		/* not used for so long, it ends */
#define LIFE_MS 20000u		/* of one exchange, then the next begins */
#define DOWN_MAX (2u << 20)	/* and bytes of its response */
#define AGAIN_MS 10000u		/* after trouble; then twice as long */
#define AGAIN_MAX_MS 600000u
#define SLOW_MS 1000u		/* after a hedge; longer if it was of no use: */
#define USEFUL_MIN 5u		/* questions that it has carried */
#define REFUSED_MS 600000u	/* where the path does not; likewise */
#define REFUSED_MAX_MS 7200000u
#define GOOD_MS 60000u		/* in use, past troubles are forgotten */
#define UNSENT_MAX 8192u	/* the connection is busy with something */
#define SMALL_MAX 4096u		/* in one go */
#define LANES_MIN 8u		/* usable, to spare three */

void lanes_duplex_init(struct lanes *l)
{
	l->duplex.state = DUPLEX_OFF;
	l->duplex.up = l->duplex.next = l->duplex.down = NONE;
	l->duplex.questions = 0;
	l->duplex.retry_ms = 0;
	l->duplex.pause_ms = AGAIN_MS;
	l->duplex.slow_ms = SLOW_MS;
	l->duplex.refused_ms = REFUSED_MS;
}

/* A free lane for what is small, from the far end. */
static unsigned spare_lane(const struct lanes *l)
{
	unsigned n = lanes_small(l);

	while (n-- > 0)
		if (!l->slot[n].busy && !l->slot[n].restart)
			return n;
	return NONE;
}

/* ---- the two exchanges ------------------------------------------------ */

/* Fill and post. False: no memory, or no keys. */
static bool begin(struct lanes *l, unsigned lane, struct session_fill *f,
    uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];
	bool ended;

	s->lane = lane;
	session_lane_begin(l->session, lane, ++s->exchange);
	f->lane = lane;
	f->exchange = s->exchange;
	f->head = f->ack = true;
	if (lanes_body(s, SMALL_MAX) != 0)
		return false;
	s->body_len = session_fill(l->session, f, s->body, SMALL_MAX, now_ms,
	    &ended);
	if (s->body_len == 0)
		return false;
	s->bulk = s->asked = false;
	s->hold_ms = 0;
	lanes_post(l, lane, now_ms);
	return true;
}

/* No more will go by this one; it ends. */
static void finish(struct lanes *l, unsigned *lane, uint64_t now_ms)
{
	struct slot *s;

	if (*lane == NONE)
		return;
	s = &l->slot[*lane];
	*lane = NONE;
	if (!s->busy || !s->open)
		return;
	s->open = false;
	s->heard_ms = now_ms;	/* from now on it is to be answered */
	l->ops->finish(l->ctx, s->lane);
}

/* With a PING in it, to be acknowledged. */
static bool begin_up(struct lanes *l, unsigned *out, uint64_t now_ms)
{
	struct session_fill f = { .take = TAKE_PING };
	unsigned lane = spare_lane(l);

	if (lane == NONE)
		return false;
	session_ping(l->session);
	l->duplex.first_number = session_sent_number(l->session) + 1;
	l->slot[lane].open = true;
	if (!begin(l, lane, &f, now_ms)) {
		l->slot[lane].open = false;
		return false;
	}
	*out = lane;
	return true;
}

static bool begin_down(struct lanes *l, uint64_t now_ms)
{
	struct session_fill f = {
		.hold_ms = SESSION_LASTING + IDLE_MS, .keep = l->keep,
	};
	unsigned lane = spare_lane(l);
	unsigned old = l->duplex.down;

	if (lane == NONE)
		return false;
	l->slot[lane].lasting = true;
	if (!begin(l, lane, &f, now_ms)) {
		l->slot[lane].lasting = false;
		return false;
	}
	if (old != NONE) {	/* the gateway ends it now */
		l->slot[old].lasting = false;
		l->slot[old].answer_bytes = 0;	/* none of it was bulk */
	}
	l->duplex.down = lane;
	return true;
}

/* ---- beginning and end ------------------------------------------------ */

static void set_state(struct lanes *l, int state, uint64_t now_ms)
{
	l->duplex.state = state;
	l->duplex.since_ms = now_ms;
	l->duplex.questions = 0;
	l->duplex.carried = 0;
}

/* The response of `down` ends by itself when there is nothing in it. */
static void leave(struct lanes *l, uint64_t now_ms)
{
	finish(l, &l->duplex.up, now_ms);
	finish(l, &l->duplex.next, now_ms);
	l->duplex.down = NONE;
	if (l->duplex.carried >= USEFUL_MIN)
		l->duplex.slow_ms = SLOW_MS;
	set_state(l, DUPLEX_OFF, now_ms);
}

static void longer(uint64_t *pause_ms, uint64_t most_ms)
{
	*pause_ms *= 2;
	if (*pause_ms > most_ms)
		*pause_ms = most_ms;
}

static void refused(struct lanes *l, uint64_t now_ms)
{
	leave(l, now_ms);
	l->duplex.retry_ms = now_ms + l->duplex.refused_ms;
	longer(&l->duplex.refused_ms, REFUSED_MAX_MS);
}

/* It is no quicker than exchanges. That may be for now only. */
static void slow(struct lanes *l, uint64_t now_ms)
{
	leave(l, now_ms);
	l->duplex.retry_ms = now_ms + l->duplex.slow_ms;
	longer(&l->duplex.slow_ms, AGAIN_MAX_MS);
}

void lanes_duplex_doubt(struct lanes *l, uint64_t now_ms)
{
	if (l->duplex.state == DUPLEX_OFF)
		return;
	if (l->duplex.state == DUPLEX_ON &&
	    now_ms - l->duplex.since_ms >= GOOD_MS)
		l->duplex.pause_ms = AGAIN_MS;
	leave(l, now_ms);
	l->duplex.retry_ms = now_ms + l->duplex.pause_ms;
	longer(&l->duplex.pause_ms, AGAIN_MAX_MS);
}

/* Bytes that a body may have that stays open. */
static uint32_t open_max(const struct lanes *l)
{
	return l->open_max > 0 ? l->open_max : l->body_max;
}

/*
 * Something on the way may not like a body without length, or that takes long.
 * Its lane runs again, by which all that it carried is sent again.
 */
void lanes_duplex_failed(struct lanes *l, unsigned slot,
    enum lanes_result result, uint64_t now_ms)
{
	l->stats.failed++;
	l->slot[slot].restart = true;
	if (l->duplex.state == DUPLEX_TRIED && result == LANES_STATUS)
		refused(l, now_ms);
	else
		lanes_duplex_doubt(l, now_ms);
}

void lanes_duplex_hedge(struct lanes *l, uint64_t now_ms)
{
	unsigned up = l->duplex.up, down = l->duplex.down;

	if (l->duplex.state != DUPLEX_ON)
		return;
	slow(l, now_ms);	/* or Domino is, or this machine busy */
	if (up != NONE && l->slot[up].busy)
		lanes_hedge(l, up, now_ms);
	if (down != NONE && l->slot[down].busy)
		lanes_hedge(l, down, now_ms);
}

void lanes_duplex_asked(struct lanes *l, uint64_t now_ms)
{
	if (now_ms - l->duplex.question_ms > QUESTION_GAP_MS)
		l->duplex.questions = 0;
	l->duplex.question_ms = now_ms;
	if (now_ms >= l->duplex.retry_ms)
		l->duplex.questions++;
}

static bool is_wanted(const struct lanes *l, uint64_t now_ms)
{
	return now_ms - l->duplex.question_ms <= QUESTION_GAP_MS &&
	    l->cfg.duplex_after > 0 && l->ops->open != NULL &&
	    l->rounds == 0 && l->duplex.questions >= l->cfg.duplex_after &&
	    lanes_usable(l) >= LANES_MIN;
}

static void try(struct lanes *l, uint64_t now_ms)
{
	set_state(l, DUPLEX_TRIED, now_ms);
	l->duplex.used_ms = now_ms;
	l->duplex.oldest = UINT64_MAX;
	l->duplex.is_timed = false;
	if (!begin_down(l, now_ms) || !begin_up(l, &l->duplex.up, now_ms))
		lanes_duplex_doubt(l, now_ms);
}

/* ---- in use ----------------------------------------------------------- */

static bool is_open(const struct lanes *l, unsigned lane)
{
	return lane != NONE && l->slot[lane].busy && l->slot[lane].open;
}

/* Are both still under way? */
static bool are_open(const struct lanes *l)
{
	const struct slot *down;

	if (!is_open(l, l->duplex.up) || l->duplex.down == NONE ||
	    (l->duplex.next != NONE && !is_open(l, l->duplex.next)))
		return false;
	down = &l->slot[l->duplex.down];
	return down->busy && down->lasting && !down->ended && !down->bad;
}

static unsigned newest_up(const struct lanes *l)
{
	return l->duplex.next != NONE ? l->duplex.next : l->duplex.up;
}

/* Has what the newest body began with been acknowledged? */
static bool up_is_shown(const struct lanes *l)
{
	return session_lane_oldest(l->session, newest_up(l)) >
	    l->duplex.first_number;
}

static uint64_t shown_by(const struct lanes *l)
{
	return l->slot[newest_up(l)].start_ms + TRY_MS + 2 * lanes_rtt_ms(l);
}

static bool is_old(const struct slot *s, uint64_t bytes, uint64_t most,
    uint64_t now_ms)
{
	return now_ms - s->start_ms >= LIFE_MS || bytes >= most;
}

/*
 * Before a server's limits of time and size are reached the next one is there,
 * and takes over when it has shown that the path still is as it was.
 */
static bool renew_up(struct lanes *l, uint64_t now_ms)
{
	const struct slot *s = &l->slot[l->duplex.up];

	if (l->duplex.next == NONE)
		return !is_old(s, s->body_len, open_max(l) / 4 * 3, now_ms) ||
		    begin_up(l, &l->duplex.next, now_ms);
	if (!up_is_shown(l))
		return now_ms < shown_by(l);
	finish(l, &l->duplex.up, now_ms);
	l->duplex.up = l->duplex.next;
	l->duplex.next = NONE;
	l->duplex.oldest = UINT64_MAX;
	return true;
}

static bool renew_down(struct lanes *l, uint64_t now_ms)
{
	const struct slot *s = &l->slot[l->duplex.down];

	return !is_old(s, s->answer_bytes, DOWN_MAX, now_ms) ||
	    begin_down(l, now_ms);
}

/* One that is held is enough now; the gateway lets the others go. */
static void use(struct lanes *l, uint64_t now_ms)
{
	unsigned lane = spare_lane(l);

	set_state(l, DUPLEX_ON, now_ms);
	if (lanes_held(l) > l->keep && lane != NONE)
		lanes_start(l, lane, TAKE_NOTHING, true, now_ms);
}

/* To the body of `up`. False: nothing to say. */
static bool append(struct lanes *l, enum session_take take, uint64_t now_ms)
{
	struct slot *s = &l->slot[l->duplex.up];
	struct session_fill f = {
		.lane = s->lane, .exchange = s->exchange, .take = take,
		.ack = take == TAKE_PING,
	};
	uint8_t out[2 * SMALL_MAX];
	bool ended;
	size_t n;

	n = session_fill(l->session, &f, out, sizeof(out), now_ms, &ended);
	if (n == 0)
		return false;
	s->body_len += n;
	l->ops->append(l->ctx, s->lane, out, n);
	return true;
}

/*
 * What follows the beginning of a body may be held back a little, to go with
 * more of it. An exchange would be quicker: time a second PING.
 */
static void time_it(struct lanes *l, uint64_t now_ms)
{
	set_state(l, DUPLEX_TIMED, now_ms);
	session_ping(l->session);
	(void)append(l, TAKE_PING, now_ms);
}

static uint64_t timed_by(const struct lanes *l)
{
	uint64_t rtt = lanes_rtt_ms(l);

	return l->duplex.since_ms + rtt + rtt / 8 + TIMED_MS;
}

/* Then whatever is sent may be in a queue, and its time tells nothing. */
static bool is_beside_bulk(const struct lanes *l, uint64_t now_ms)
{
	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (l->slot[i].busy && l->slot[i].bulk &&
		    l->slot[i].hold_ms == 0)
			return true;
	return lanes_bulk_wanted(l, now_ms) > 0;
}

static void run_tried(struct lanes *l, uint64_t now_ms)
{
	if (l->slot[l->duplex.down].records > 0 && up_is_shown(l)) {
		if (is_beside_bulk(l, now_ms))
			use(l, now_ms);
		else
			time_it(l, now_ms);
	} else if (now_ms >= shown_by(l)) {
		refused(l, now_ms);
	}
}

static void run_timed(struct lanes *l, uint64_t now_ms)
{
	if (!session_ping_is_open(l->session)) {
		l->duplex.is_timed = true;
		use(l, now_ms);
	} else if (now_ms >= timed_by(l)) {
		slow(l, now_ms);
	}
}

static void run_on(struct lanes *l, uint64_t now_ms)
{
	if (now_ms - l->duplex.used_ms >= IDLE_MS)
		leave(l, now_ms);
	else if (!l->duplex.is_timed && !is_beside_bulk(l, now_ms))
		time_it(l, now_ms);
	else if (!renew_up(l, now_ms) || !renew_down(l, now_ms))
		lanes_duplex_doubt(l, now_ms);
}

void lanes_duplex_run(struct lanes *l, uint64_t now_ms)
{
	if (l->duplex.state == DUPLEX_OFF) {
		if (is_wanted(l, now_ms))
			try(l, now_ms);
		return;
	}
	if (l->rounds > 0) {
		lanes_duplex_doubt(l, now_ms);
		return;
	}
	if (!are_open(l)) {
		leave(l, now_ms);
		return;
	}
	if (l->duplex.state == DUPLEX_TRIED)
		run_tried(l, now_ms);
	else if (l->duplex.state == DUPLEX_TIMED)
		run_timed(l, now_ms);
	else
		run_on(l, now_ms);
}

uint64_t lanes_duplex_at(const struct lanes *l)
{
	uint64_t at;

	switch (l->duplex.state) {
	case DUPLEX_OFF:
		break;
	case DUPLEX_TRIED:
		return shown_by(l);
	case DUPLEX_TIMED:
		return timed_by(l);
	case DUPLEX_ON:
		at = l->duplex.used_ms + IDLE_MS;
		return l->duplex.next != NONE && shown_by(l) < at ?
		    shown_by(l) : at;
	}
	return UINT64_MAX;
}

/*
 * Only what is acknowledged counts as use: if it is kept somewhere on the way,
 * the end of the body lets it go.
 */
static void note_use(struct lanes *l, uint64_t now_ms)
{
	uint64_t oldest = session_lane_oldest(l->session, l->duplex.up);

	if (oldest == UINT64_MAX || oldest != l->duplex.oldest)
		l->duplex.used_ms = now_ms;
	l->duplex.oldest = oldest;
}

bool lanes_duplex_send(struct lanes *l, uint64_t now_ms)
{
	const struct slot *s;

	if (l->duplex.state != DUPLEX_ON || !are_open(l) ||
	    !session_has_work(l->session, TAKE_QUICK, now_ms) ||
	    session_backlog(l->session) > SMALL_MAX)
		return false;
	s = &l->slot[l->duplex.up];
	if (s->body_len + 2 * SMALL_MAX > open_max(l) ||
	    l->ops->unsent(l->ctx, s->lane) > UNSENT_MAX)
		return false;
	note_use(l, now_ms);
	l->stats.streamed++;
	l->duplex.carried++;
	lanes_earn_token(l);
	return append(l, TAKE_QUICK, now_ms);
}
