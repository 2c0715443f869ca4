#include "config.h"

#include "common/lanes_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define HELLO_MS 2000u		/* for the answer to the first hello */
#define HELLO_SILENCES_MAX 8u	/* then its patience has its full size */
#define PROBES_MAX 8u		/* that try the path at the same time */
#define SILENT_DOWN_MS 3000u	/* not answered for so long, it is down */
#define KNOCK_MS 250u		/* knocking does not make attempts denser */
#define TRIM_MS 2000u		/* of quiet, then only one is held */
#define WARM_SPARE 2u		/* connections that are open and idle */
#define CLOSE_MS 2000u		/* a goodbye that takes longer is given up */

void lanes_defaults(struct lanes_config *c)
{
	session_defaults(&c->session, true);
	c->hold_ms = 45000;
	c->quiet_ms = 5;
	c->silence_ms = 10000;
	c->retry_min_ms = 100;
	c->retry_max_ms = 1500;
	c->rekey_ms = 3600000;
	c->body_max = 960u << 10;
	c->body_max_h2 = 960u << 10;
	c->body_max_open = 16u << 20;
	c->duplex_after = 20;
	c->lanes = 24;
	c->lanes_h2 = 96;
}

int lanes_new(struct lanes **out, const struct lanes_config *c,
    const struct lanes_ops *ops, void *ctx)
{
	struct lanes *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return ERR_NOMEM;
	l->cfg = *c;
	l->ops = ops;
	l->ctx = ctx;
	l->state = LANES_DOWN;
	l->need_hello = true;
	lanes_limits_init(l);
	l->keep = 1;
	backoff_init(&l->backoff, c->retry_min_ms, c->retry_max_ms);
	lanes_duplex_init(l);
	snprintf(l->why, sizeof(l->why), "not connected yet");
	*out = l;
	return 0;
}

void lanes_free(struct lanes *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		free(l->slot[i].body);
		free(l->slot[i].part);
	}
	noise_free(l->hello);
	session_free(l->session);
	crypto_wipe(&l->cfg.device, sizeof(l->cfg.device));
	free(l);
}

void lanes_set_state(struct lanes *l, enum lanes_state state,
    const char *why)
{
	if (l->state == state && strcmp(l->why, why) == 0)
		return;
	l->state = state;
	snprintf(l->why, sizeof(l->why), "%s", why);
	l->ops->on_state(l->ctx, state, l->why);
}

int lanes_open(struct lanes *l, const char *server, struct stream **out)
{
	if (l->state != LANES_UP || l->session == NULL || l->closing)
		return ERR_STATE;
	return stream_open(l->session, server, out);
}

unsigned lanes_usable(const struct lanes *l)
{
	return l->http2 ? l->cfg.lanes_h2 : l->cfg.lanes;
}

unsigned lanes_small(const struct lanes *l)
{
	unsigned n = lanes_usable(l);

	return n < SESSION_BULK_LANE ? n : SESSION_BULK_LANE;
}

/* ---- what is due ------------------------------------------------------ */

static void sooner(uint64_t *at, uint64_t when)
{
	if (when < *at)
		*at = when;
}

/*
 * A hello may have gone where nothing passes, like the SYN before it; but if
 * the path is only slow, each one has more time than the one before.
 */
static uint64_t hello_patience(const struct lanes *l)
{
	uint64_t wait = HELLO_MS << l->hello_silences;

	return wait < l->cfg.silence_ms ? wait : l->cfg.silence_ms;
}

/* When an exchange has been silent for too long. */
static uint64_t give_up_at(const struct lanes *l, const struct slot *s)
{
	uint64_t wait = l->cfg.silence_ms;

	if (s == &l->slot[LANES_HELLO])
		wait = hello_patience(l);
	else if (s->hold_ms > 0 && !s->answered)
		wait += s->hold_ms;
	else if (s->open)
		return UINT64_MAX;
	return s->heard_ms + wait;
}

/*
 * Nothing more is to be had of what is silent, or has brought what does not
 * open: what was in that is sent again as soon as its lane goes on.
 */
static void give_up(struct lanes *l, uint64_t now_ms)
{
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		struct slot *s = &l->slot[i];

		if (s->busy && s->bad && i != LANES_HELLO) {
			l->ops->cancel(l->ctx, i);
			lanes_on_end(l, i, LANES_DONE, 200, "", now_ms);
		}
		if (!s->busy || now_ms < give_up_at(l, s))
			continue;
		if (i == LANES_HELLO &&
		    l->hello_silences < HELLO_SILENCES_MAX)
			l->hello_silences++;
		if (i != LANES_HELLO)
			session_path_silent(l->session, now_ms);
		l->ops->cancel(l->ctx, i);
		lanes_on_end(l, i, LANES_FAILED, 0,
		    "the gateway does not answer", now_ms);
	}
}

/* Is only one exchange at a time to find out whether the path works? */
static bool probing(const struct lanes *l)
{
	return l->rounds > 0;
}

/* A lane for what is small that is free, or SESSION_LANES. */
static unsigned free_lane(const struct lanes *l)
{
	unsigned n = lanes_small(l);

	for (unsigned i = 0; i < n; i++)
		if (!l->slot[i].busy)
			return i;
	return SESSION_LANES;
}

/*
 * A free lane for a body of bulk, with some of the others left over; where
 * there are few, half of them may be held, and bulk still needs one.
 */
static unsigned free_bulk_lane(const struct lanes *l)
{
	unsigned lane, free = 0, n = lanes_usable(l), spare = n / 3;

	if (spare > LANES_QUICK)
		spare = LANES_QUICK;

	for (lane = SESSION_BULK_LANE; lane < n; lane++)
		if (!l->slot[lane].busy)
			return lane;
	for (lane = 0; lane < n && free <= spare; lane++)
		free += !l->slot[lane].busy;
	return free > spare ? free_lane(l) : SESSION_LANES;
}

/* A lane that failed runs again: that is how losses are found out. */
static unsigned failed_lane(const struct lanes *l)
{
	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (l->slot[i].restart && !l->slot[i].busy)
			return i;
	return SESSION_LANES;
}

/* Those that are silent now may have taken all that are usable otherwise. */
static unsigned probe_lane(const struct lanes *l)
{
	unsigned lane = failed_lane(l);

	for (unsigned i = 0; i < SESSION_BULK_LANE && lane == SESSION_LANES;
	    i++)
		if (!l->slot[i].busy)
			lane = i;
	return lane;
}

/*
 * When the next one tries: not while the last may still get its answer, but
 * what was sent before the path worked again may be repeated much later only.
 */
static uint64_t probe_at(const struct lanes *l)
{
	uint64_t at = l->retry_ms, newest = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < SESSION_LANES; i++) {
		if (!l->slot[i].busy || !l->slot[i].probe)
			continue;
		n++;
		if (l->slot[i].heard_ms > newest)
			newest = l->slot[i].heard_ms;
	}
	if (n == PROBES_MAX || probe_lane(l) == SESSION_LANES)
		return UINT64_MAX;
	if (n > 0 && newest + lanes_patience(l) > at)
		at = newest + lanes_patience(l);
	return at;
}

static void probe(struct lanes *l, uint64_t now_ms)
{
	if (now_ms < probe_at(l))
		return;
	if (now_ms - l->failing_ms >= SILENT_DOWN_MS)
		lanes_set_state(l, LANES_DOWN, "the gateway does not answer");
	lanes_start(l, probe_lane(l), TAKE_ALL, false, now_ms);
}

/* Start an exchange for this. False when no more can be. */
static bool send_one(struct lanes *l, enum session_take take,
    uint64_t now_ms)
{
	unsigned lane = take == TAKE_BULK ? free_bulk_lane(l) : free_lane(l);

	if (lane == SESSION_LANES || !session_has_work(l->session, take,
	    now_ms))
		return false;
	lanes_start(l, lane, take, false, now_ms);
	return l->slot[lane].busy;	/* or there is no memory */
}

/*
 * Start exchanges for what is queued: first for what is small, so that it
 * never waits behind a body of bulk, then for bulk, as the congestion window
 * allows, with some lanes left over.
 */
static void send_queued(struct lanes *l, uint64_t now_ms)
{
	while (lanes_duplex_send(l, now_ms) ||
	    send_one(l, TAKE_QUICK, now_ms))
		;
	while (lanes_bulk_body(l) > 0 && send_one(l, TAKE_BULK, now_ms))
		;
}

/*
 * When the newest of those held is to be replaced. On HTTP/1.1 a little before
 * its time is over: that takes turns between two connections, and neither goes
 * cold, so that the next question does not wait for a TLS handshake. On HTTP/2
 * once it was answered: a connection without any request costs web servers
 * less, and they only find the time to tidy up when there is none.
 */
static uint64_t renew_at(const struct lanes *l)
{
	const struct slot *newest = NULL;

	if (l->http2)
		return UINT64_MAX;
	for (unsigned i = 0; i < SESSION_BULK_LANE; i++) {
		const struct slot *s = &l->slot[i];

		if (s->busy && s->hold_ms > 0 &&
		    (newest == NULL || s->start_ms > newest->start_ms))
			newest = s;
	}
	return newest == NULL ? 0 :
	    newest->start_ms + lanes_renew_after(newest->hold_ms);
}

/*
 * When an empty request is to be parked, or after a busy time to have those
 * that are held and no longer needed answered.
 */
static uint64_t park_at(const struct lanes *l)
{
	unsigned held = lanes_held(l);

	if (free_lane(l) == SESSION_LANES)
		return UINT64_MAX;
	if (held < l->keep)
		return l->active_ms + l->cfg.quiet_ms;
	return held > l->keep && l->trim ? l->active_ms + TRIM_MS :
	    renew_at(l);
}

/* When one is to be sent for the ACK in it. */
static uint64_t ack_at(const struct lanes *l)
{
	return free_lane(l) == SESSION_LANES ? UINT64_MAX :
	    session_ack_at(l->session);
}

/* When one is to be sent only to be answered. */
static uint64_t check_at(const struct lanes *l)
{
	return free_lane(l) == SESSION_LANES ? UINT64_MAX : lanes_check_at(l);
}

static void park(struct lanes *l, uint64_t now_ms)
{
	bool check = now_ms >= check_at(l);

	if (check)
		l->checked_ms = now_ms;
	if (now_ms >= park_at(l))
		lanes_start(l, free_lane(l), TAKE_QUICK, true, now_ms);
	else if (check || now_ms >= ack_at(l))
		lanes_start(l, free_lane(l), TAKE_NOTHING, false, now_ms);
}

/* While bulk comes in, some lanes wait for more of it. */
static void park_for_bulk(struct lanes *l, uint64_t now_ms)
{
	unsigned n = lanes_bulk_wanted(l, now_ms);

	for (unsigned i = SESSION_BULK_LANE; i < SESSION_BULK_LANE + n; i++)
		if (!l->slot[i].busy)
			lanes_start(l, i, TAKE_NOTHING, true, now_ms);
}

/*
 * On HTTP/1.1 every exchange under way has a connection of its own, and a new
 * one costs three round trips. In a busy time there are always some that are
 * open and idle: an empty exchange opens one whenever more than ever are in
 * use.
 */
static void warm_up(struct lanes *l, uint64_t now_ms)
{
	unsigned lane, wanted = WARM_SPARE;

	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (l->slot[i].busy && !l->slot[i].warming)
			wanted++;
	while (!l->http2 && (l->trim || l->keep > 1) && wanted > l->opened &&
	    l->opened < lanes_usable(l) &&
	    (lane = free_lane(l)) != SESSION_LANES) {
		lanes_start(l, lane, TAKE_QUICK, false, now_ms);
		l->slot[lane].warming = l->slot[lane].hold_ms == 0;
		if (!l->slot[lane].busy)
			return;
	}
}

static bool greeting(const struct lanes *l)
{
	return l->slot[LANES_HELLO].busy;
}

/* When the next hello is due: a needed one, or one for fresh keys. */
static uint64_t greet_at(const struct lanes *l)
{
	uint64_t at = l->need_hello ? 0 : l->hello_ms + l->cfg.rekey_ms;

	if (greeting(l))
		return UINT64_MAX;
	return at > l->retry_ms ? at : l->retry_ms;
}

/* Say goodbye in one exchange, then it is over. */
static void leave(struct lanes *l, uint64_t now_ms)
{
	if (l->over || lanes_busy(l) > 0)
		return;
	if (l->session == NULL || l->state != LANES_UP) {
		l->over = true;
		return;
	}
	lanes_start(l, 0, TAKE_ALL, false, now_ms);
}

void lanes_run(struct lanes *l, uint64_t now_ms)
{
	give_up(l, now_ms);
	if (l->closing) {
		leave(l, now_ms);
		return;
	}
	if (l->session_over) {
		lanes_discard(l);
		l->state = LANES_DOWN;
		l->ops->on_state(l->ctx, LANES_DOWN, l->why);
		lanes_wait(l, now_ms);
	}
	if (now_ms >= greet_at(l))
		lanes_greet(l, now_ms);
	if (l->session == NULL || l->need_hello)
		return;
	lanes_doubt(l, now_ms);
	lanes_duplex_run(l, now_ms);
	if (probing(l)) {
		probe(l, now_ms);
		return;
	}
	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (l->slot[i].restart && !l->slot[i].busy)
			lanes_start(l, i, TAKE_ALL, false, now_ms);
	send_queued(l, now_ms);
	lanes_hedge_run(l, now_ms);
	park(l, now_ms);
	park_for_bulk(l, now_ms);
	warm_up(l, now_ms);
}

uint64_t lanes_deadline(const struct lanes *l)
{
	uint64_t at = UINT64_MAX;

	if (l->over)
		return at;
	for (unsigned i = 0; i < LANES_SLOTS; i++)
		if (l->slot[i].busy)
			sooner(&at, give_up_at(l, &l->slot[i]));
	if (l->closing)
		return at;
	sooner(&at, greet_at(l));
	if (l->need_hello || l->session == NULL)
		return at;
	if (!probing(l)) {
		sooner(&at, park_at(l));
		sooner(&at, ack_at(l));
		sooner(&at, check_at(l));
		sooner(&at, lanes_hedge_at(l));
		sooner(&at, lanes_doubt_at(l));
		sooner(&at, lanes_duplex_at(l));
	} else {
		sooner(&at, probe_at(l));
	}
	return at;
}

/* ---- events from outside ---------------------------------------------- */

void lanes_network_changed(struct lanes *l, uint64_t now_ms)
{
	(void)now_ms;
	if (l->closing)
		return;
	lanes_cancel_all(l);
	memset(l->path, 0, sizeof(l->path));
	lanes_duplex_init(l);
	l->rounds = 1;		/* fresh connections */
	l->doubting = false;
	l->doubt_shift = l->hello_silences = 0;
	l->round_ms = l->failing_ms = now_ms;
	l->retry_ms = 0;
	backoff_reset(&l->backoff);
	lanes_limits_forget(l);
	if (l->session != NULL)
		session_path_changed(l->session);
	l->ops->on_wake(l->ctx);
}

void lanes_knock(struct lanes *l, uint64_t now_ms)
{
	uint64_t at = l->attempt_ms + KNOCK_MS;

	if (l->retry_ms <= now_ms || l->retry_ms <= at)
		return;
	l->retry_ms = at;
	l->ops->on_wake(l->ctx);
}

enum lanes_state lanes_state(const struct lanes *l)
{
	return l->state;
}

const uint8_t *lanes_id(const struct lanes *l)
{
	return l->cfg.id;
}

struct session *lanes_session(struct lanes *l)
{
	return l->session;
}

void lanes_close(struct lanes *l, uint64_t now_ms)
{
	(void)now_ms;
	if (l->closing)
		return;
	if (l->session != NULL)
		session_close(l->session, SESSION_OK, "the client is leaving");
	lanes_cancel_all(l);
	l->closing = true;
	l->cfg.silence_ms = CLOSE_MS;
	l->ops->on_wake(l->ctx);
}

bool lanes_is_over(const struct lanes *l)
{
	return l->over;
}

void lanes_get_stats(const struct lanes *l, struct lanes_stats *out)
{
	uint64_t rtt = UINT64_MAX;

	*out = l->stats;
	out->in_flight = lanes_busy(l);
	out->http2 = l->http2;
	out->body_max = l->body_max;
	out->hold_ms = l->hold_ms;
	out->duplex = l->duplex.state == DUPLEX_ON;
	if (l->session != NULL) {
		rtt = session_rtt_ms(l->session);
		out->window = session_window(l->session);
	}
	out->rtt_ms = rtt == UINT64_MAX ? 0 : (uint32_t)rtt;
}
