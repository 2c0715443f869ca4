/* Single exchanges of the client: what goes in, and by which path. */
#include "config.h"

#include "common/lanes_impl.h"

#include <stdlib.h>

#include "common/err.h"

#define BULK_NEAR 2u		/* lanes for bulk: one, and one to follow it */
#define BULK_FAR 6u		/* on several connections over a distance */
#define FAR_MS 5u		/* round trip that makes a distance */
#define HELD_MAX 8u		/* asked to be held at once, at most */
#define QUICK_BODY 65536u	/* a body of what is small, at most */
#define BULK_BODIES 8u		/* that the congestion window is cut into */
#define CONNECTION_LIFE_MS 40000u	/* idle, before someone closes it */
#define HEDGED_MS 60000u	/* a hedge is likely to be needed again */
#define WARM_BODIES 2u		/* of bulk by the path for what is small */
#define CONNECT_MS 1000u	/* for one exchange to open a connection */
#define FAR_BYTES 262144u	/* bulk worth several connections */
#define ACK_BODY 4096u		/* in less there is nothing worth one */
#define COLD_BODY 65536u	/* of bulk, by a connection that begins */
#define WARM_MS 300u		/* without use, TCP begins slowly again */

int lanes_body(struct slot *s, size_t len)
{
	uint8_t *p;

	if (s->body_size >= len)
		return 0;
	p = malloc(len);
	if (p == NULL)
		return ERR_NOMEM;
	free(s->body);
	s->body = p;
	s->body_size = len;
	return 0;
}

unsigned lanes_held(const struct lanes *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SESSION_BULK_LANE; i++)
		if (l->slot[i].busy && l->slot[i].hold_ms > 0 &&
		    !l->slot[i].answered)
			n++;
	return n;
}

/*
 * Over a distance, where a lost packet or a slow start stops a connection for
 * many round trips, several connections share the bulk.
 */
unsigned lanes_bulk_wanted(const struct lanes *l, uint64_t now_ms)
{
	uint64_t rtt = session_rtt_ms(l->session);

	if (l->poured <= LANES_BULK_ANSWER || now_ms - l->poured_ms > LANES_POUR_MS)
		return 0;
	return l->poured > FAR_BYTES && rtt >= FAR_MS && rtt != UINT64_MAX ?
	    BULK_FAR : BULK_NEAR;
}

unsigned lanes_busy(const struct lanes *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (l->slot[i].busy)
			n++;
	return n;
}

/*
 * Where a packet may be lost, two connections on HTTP/2 take turns, so that
 * there is always a second one that is warm; only what is hedged opens it. (On
 * HTTP/1.1 each exchange has its own.)
 */
static unsigned choose_quick_path(const struct lanes *l, const struct slot *s,
    uint64_t now_ms)
{
	unsigned other = (s->path + 1) % PATHS_QUICK;

	if (!l->http2 || l->hedged_ms == 0 ||
	    now_ms - l->hedged_ms > HEDGED_MS)
		return 0;
	return s->hedges ||
	    now_ms - l->path[other].ready_ms < CONNECTION_LIFE_MS ? other : 0;
}

/* Bodies of bulk that are under way by the path for what is small. */
static unsigned bulk_on_warm_path(const struct lanes *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (l->slot[i].busy && l->slot[i].bulk &&
		    l->slot[i].path == 0)
			n++;
	return n;
}

/*
 * What is small does not share a connection with bulk. Only the beginning of
 * a transfer goes by the warm path, while those for bulk are being opened. On
 * HTTP/1.1, where no two requests share one at a time, all but what is held
 * goes by the same path all the time: then hardly any connection is opened in
 * the midst of a transfer, with all that comes behind that body waiting at the
 * other end, or for the ACKs in it.
 */
static unsigned choose_path(struct lanes *l, unsigned slot, uint64_t now_ms)
{
	const struct slot *s = &l->slot[slot];
	unsigned p = PATHS_QUICK + slot % PATHS_BULK;

	if (slot == LANES_HELLO)
		return 0;
	/*
	 * On HTTP/1.1, by which an open body always goes, it would take a
	 * connection away that is warm.
	 */
	if (s->open || (s->lasting && !l->http2))
		return PATH_OPEN;
	if (slot < SESSION_BULK_LANE && !s->bulk)
		return choose_quick_path(l, s, now_ms);
	if (!l->http2 && s->hold_ms == 0)
		return 0;
	if (s->hold_ms > 0 || now_ms - l->path[p].ready_ms < CONNECTION_LIFE_MS)
		return p;
	if (s->body_len < ACK_BODY)
		return 0;
	if (now_ms - l->path[p].tried_ms < CONNECT_MS &&
	    bulk_on_warm_path(l) < WARM_BODIES)
		return 0;
	l->path[p].tried_ms = now_ms;
	return p;
}

void lanes_post(struct lanes *l, unsigned slot, uint64_t now_ms)
{
	struct slot *s = &l->slot[slot];

	s->path = choose_path(l, slot, now_ms);
	s->busy = true;
	s->probe = l->rounds > 0;
	s->streamed = s->open;
	s->answered = s->ended = s->bad = s->restart = s->warming = false;
	s->hedges = false;
	s->due_ms = 0;
	s->answer_bytes = 0;
	s->records = 0;
	s->part_len = 0;
	s->start_ms = s->heard_ms = now_ms;
	l->attempt_ms = l->active_ms = now_ms;
	if (lanes_busy(l) >= l->opened ||
	    now_ms - l->opened_ms > CONNECTION_LIFE_MS) {
		l->opened = lanes_busy(l);
		l->opened_ms = now_ms;
	}
	l->stats.exchanges++;
	lanes_earn_token(l);
	s->query = !s->open && s->hold_ms > 0 && s->body_len <= l->query_max;
	(s->open ? l->ops->open : s->query ? l->ops->query : l->ops->post)
	    (l->ctx, slot, s->body, s->body_len, s->path, l->rounds > 0);
}

/* Heads of frames and records, OPENs, ACKs: beside so much data. */
static uint64_t with_heads(uint64_t n)
{
	return n + n / 64 + 8192;
}

/*
 * The window is cut into a few bodies, so that the path always has the next
 * one; a window that is almost used up makes no crumbs. Where there are few
 * lanes, about half of them have to fill it.
 */
uint64_t lanes_bulk_body(const struct lanes *l)
{
	unsigned n = lanes_usable(l);
	uint64_t want = session_window(l->session) /
	    (n < BULK_BODIES ? n / 2 : BULK_BODIES);
	uint64_t room = session_bulk_room(l->session);

	if (want < LANES_BODY_MIN)
		want = LANES_BODY_MIN;
	if (want > l->body_max)
		want = l->body_max;
	return room >= want / 2 ? want : 0;
}

void lanes_note_carried(struct slot *s, uint64_t now_ms)
{
	if (s->body_len > s->carried || now_ms - s->carried_ms > WARM_MS)
		s->carried = (uint32_t)s->body_len;
	s->carried_ms = now_ms;
}

/*
 * On HTTP/1.1 a body has a connection to itself, and a large one would take
 * many round trips on one that is in slow start, with all that comes behind it
 * in the stream waiting at the other end. As libcurl and we both take the first
 * that is free, a lane mostly keeps its connection.
 */
static uint64_t slow_start(const struct slot *s, uint64_t now_ms)
{
	uint64_t twice = 2 * (uint64_t)s->carried;

	return now_ms - s->carried_ms > WARM_MS || twice < COLD_BODY ?
	    COLD_BODY : twice;
}

/* A body for what is queued, and not larger than the path takes. */
static size_t body_wanted(const struct lanes *l, unsigned lane,
    enum session_take take, uint64_t now_ms)
{
	uint64_t most = take == TAKE_BULK ? lanes_bulk_body(l) : QUICK_BODY;
	uint64_t n = with_heads(session_backlog(l->session));
	uint64_t slow = take == TAKE_BULK && !l->http2 ?
	    slow_start(&l->slot[lane], now_ms) : most;

	if (most > slow)
		most = slow;
	if (most > l->body_max)
		most = l->body_max;
	return (size_t)(n < most ? n : most);
}

/*
 * Ask to be held if too few are, and with every question. One is to be held
 * for each question that is open, so that each answer finds an exchange that
 * waits for it, and one more for what the server says by itself. What tries a
 * doubtful path is not held, for only its answer shows that the path works.
 */
static void choose_hold(struct lanes *l, struct session_fill *f, bool asks,
    bool park)
{
	unsigned held = lanes_held(l), most = lanes_usable(l) / 2;

	if (l->closing || l->rounds > 0 ||
	    (!asks && !park && (held >= l->keep ||
	    f->lane >= SESSION_BULK_LANE)))
		return;
	if (f->lane < SESSION_BULK_LANE)
		l->trim = asks;
	f->hold_ms = l->hold_ms;
	f->keep = l->keep;
	if (asks)
		f->keep += session_asking(l->session) + 1;
	if (most > HELD_MAX)
		most = HELD_MAX;
	if (f->keep > most)
		f->keep = most;
}

void lanes_start(struct lanes *l, unsigned lane, enum session_take take,
    bool park, uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];
	struct session_fill f = {
		.lane = lane, .exchange = ++s->exchange, .take = take,
		.head = true, .ack = true,
	};
	size_t room;
	bool ended;

	s->lane = lane;
	session_lane_begin(l->session, lane, s->exchange);
	room = body_wanted(l, lane, take, now_ms);
	if (lanes_body(s, room) != 0) {
		lanes_wait(l, now_ms);
		return;
	}
	s->asked = (take == TAKE_QUICK || take == TAKE_ALL) &&
	    session_asks(l->session, now_ms);
	if (s->asked)
		lanes_duplex_asked(l, now_ms);
	choose_hold(l, &f, s->asked, park);
	s->body_len = session_fill(l->session, &f, s->body, room, now_ms,
	    &ended);
	if (s->body_len == 0) {		/* the keys are used up */
		l->session_over = true;
		return;
	}
	s->hold_ms = (uint32_t)f.hold_ms;
	s->bulk = take == TAKE_BULK || (take == TAKE_NOTHING &&
	    lanes_bulk_wanted(l, now_ms) > 0);
	lanes_post(l, lane, now_ms);
	if (s->hold_ms > 0 && lane < SESSION_BULK_LANE)
		lanes_note_overtaken(l, f.keep, now_ms);
}
