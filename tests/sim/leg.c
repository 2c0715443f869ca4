#include "config.h"

#include "tests/sim/leg.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/net.h"

#define STALLED_MS 40000u	/* a server's patience with a silent peer */
#define BLIND_MAX 65536u	/* bytes that a socket takes for nobody */
#define REPEAT_MAX 4096u	/* bytes of answer to a repeated request */

struct leg {
	struct net *net;
	struct leg *next;
	uint64_t serial;
	struct net_call *call;		/* who listens, or NULL */
	struct net_blob *body;
	struct leg_plan plan;
	struct gate_exchange *gx;	/* while the gateway knows of it */
	size_t fed;
	bool starved;			/* it waits for more of the body */
	bool whole;			/* the gateway has the request */
	uint64_t taken_by;		/* the session that had it before */
	bool repeated;			/* and it still has */
	bool stalled, pulling;
	size_t pulled;
	uint64_t made_ms;		/* when it left for the gateway */
	uint64_t fed_ms;		/* when the gateway last got some of it */
	uint64_t active_ms;		/* when a byte last moved */
};

static void on_begin(void *ctx);
static void on_feed(void *ctx);
static void on_starved(void *ctx);
static void on_pull(void *ctx);

struct leg *leg_new(struct net *n, struct net_call *call,
    struct net_blob *body, const struct leg_plan *plan)
{
	struct leg *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->net = n;
	l->next = n->legs;
	l->serial = l->next != NULL ? l->next->serial + 1 : 1;
	n->legs = l;
	l->call = call;
	l->body = net_blob_ref(body);
	l->plan = *plan;
	l->made_ms = n->events->now_ms;
	events_at(n->events, plan->begin_ms, on_begin, l);
	return l;
}

struct leg *leg_next(const struct leg *l)
{
	return l->next;
}

void leg_free(struct leg *l)
{
	net_blob_unref(l->body);
	free(l);
}

/* Nothing more comes of it. */
static void finish(struct leg *l)
{
	if (l->gx != NULL) {
		l->net->open_legs--;
		l->net->gate_touched = true;
		gate_exchange_free(l->gx);
		l->gx = NULL;
	}
	l->stalled = true;
	net_blob_unref(l->body);
	l->body = NULL;
}

static void on_told(void *ctx)
{
	finish(ctx);
}

void leg_abandon(struct leg *l, bool told)
{
	struct events *e = l->net->events;

	l->call = NULL;
	if (l->gx != NULL)
		events_at(e, told ? net_arrival(l->net, e->now_ms) :
		    e->now_ms + STALLED_MS, on_told, l);
	else if (told)
		l->stalled = true;	/* it never gets through */
}

void leg_stall(struct leg *l)
{
	l->stalled = true;
	l->call = NULL;
	events_after(l->net->events, STALLED_MS, on_told, l);
}

void leg_gate_down(struct leg *l)
{
	if (l->gx == NULL)
		return;
	if (l->call != NULL)
		net_call_end(l->call, LANES_FAILED, 0);
	finish(l);
}

/* A proxy gives up when the gateway is silent for too long. */
static void on_impatient(void *ctx)
{
	struct leg *l = ctx;
	struct events *e = l->net->events;
	uint64_t limit = l->net->faults->path.silence_ms;

	if (l->gx == NULL)
		return;
	if (e->now_ms - l->active_ms < limit) {
		events_at(e, l->active_ms + limit, on_impatient, l);
		return;
	}
	if (l->call != NULL && l->pulled == 0)
		net_call_end(l->call, LANES_STATUS, 504);
	else if (l->call != NULL)
		net_call_end(l->call, LANES_FAILED, 0);
	finish(l);
}

static void on_ready(void *ctx)
{
	struct leg *l = ctx;

	if (l->pulling)
		return;
	l->pulling = true;
	events_after(l->net->events, 0, on_pull, l);
}

static void on_begin(void *ctx)
{
	struct leg *l = ctx;
	struct net *n = l->net;

	if (l->stalled)
		return;
	if (l->made_ms >= n->quiet_from_ms &&
	    n->events->now_ms < n->quiet_until_ms) {
		events_at(n->events, n->quiet_until_ms, on_begin, l);
		return;
	}
	if (n->gate == NULL) {
		if (l->call != NULL)
			net_call_end(l->call, LANES_STATUS, 502);
		return;
	}
	if (gate_exchange_new(&l->gx, n->gate, l->body->id, on_ready, l) !=
	    0) {
		trace_fail(n->trace, "gate_exchange_new failed");
		return;
	}
	n->open_legs++;
	n->gate_touched = true;
	l->active_ms = n->events->now_ms;
	l->taken_by = l->body->taken_by;
	if (n->faults->path.silence_ms > 0)
		events_after(n->events, n->faults->path.silence_ms,
		    on_impatient, l);
	if (l->body->open)
		events_after(n->events, STALLED_MS, on_starved, l);
	on_feed(l);
}

static void refuse(struct leg *l)
{
	trace_say(l->net->trace, "leg=%" PRIu64 " refused", l->serial);
	if (l->call != NULL)
		net_call_end(l->call, LANES_STATUS, 404);
	finish(l);
}

/* A request that came before, or a hello, is answered at once. */
static void on_judged(void *ctx)
{
	struct leg *l = ctx;

	if (l->gx == NULL || l->pulled > 0)
		return;
	if (gate_exchange_state(l->gx) == GATE_WAITING)
		trace_fail(l->net->trace, "leg %" PRIu64 ": a %s is held",
		    l->serial, l->repeated ? "repeated request" : "hello");
}

/* The request is whole, as far as the gateway can tell. */
static void on_whole(struct leg *l)
{
	struct net *n = l->net;
	bool intact = l->fed == l->body->len && l->plan.flip_at == SIZE_MAX;
	bool had = intact && l->taken_by > 0 &&
	    l->taken_by == n->session_serial;

	l->whole = true;
	gate_exchange_body_end(l->gx, net_gate_now(n));
	trace_say(n->trace, "leg=%" PRIu64 " whole bytes=%zu%s", l->serial,
	    l->fed, had ? " again" : "");
	if (gate_exchange_state(l->gx) == GATE_REFUSED) {
		refuse(l);
		return;
	}
	if (l->plan.foreign)
		trace_fail(n->trace, "nonsense is not refused");
	if (intact && !had) {
		l->body->taken_by = n->session_serial;
		/* Anyone could repeat a hello; and an end is no record. */
		if (!l->body->hello && l->fed_ms > n->last_taken_ms)
			n->last_taken_ms = l->fed_ms;
	}
	if (had || l->body->hello) {
		l->repeated = had && !l->body->hello;
		events_after(n->events, 1, on_judged, l);
	}
	on_ready(l);
}

/* A server cuts off a request that stands still. */
static void on_starved(void *ctx)
{
	struct leg *l = ctx;
	struct events *e = l->net->events;

	if (l->gx == NULL || l->whole || l->stalled)
		return;
	if (e->now_ms - l->active_ms < STALLED_MS) {
		events_at(e, l->active_ms + STALLED_MS, on_starved, l);
		return;
	}
	if (l->call != NULL)
		net_call_end(l->call, LANES_FAILED, 0);
	finish(l);
}

/* Hand the next part of the body to the gateway. */
static void on_feed(void *ctx)
{
	struct leg *l = ctx;
	struct net *n = l->net;
	size_t end, part = n->faults->path.chunk_max;
	uint64_t next = n->events->now_ms;

	if (l->gx == NULL || l->stalled)
		return;
	end = l->body->arrived < l->plan.stop_at ? l->body->arrived :
	    l->plan.stop_at;
	if (rng_chance(&n->rng, 100))
		part = rng_between(&n->rng, 1, part);
	if (part > end - l->fed)
		part = end - l->fed;
	n->gate_touched = true;
	l->active_ms = n->events->now_ms;
	if (l->plan.flip_at >= l->fed && l->plan.flip_at - l->fed < part) {
		struct net_blob *b = net_blob_new(l->body->data, l->body->len);

		b->data[l->plan.flip_at] ^= 0x04;
		gate_exchange_body(l->gx, b->data + l->fed, part,
		    net_gate_now(n));
		net_blob_unref(b);
	} else if (part > 0) {
		gate_exchange_body(l->gx, l->body->data + l->fed, part,
		    net_gate_now(n));
	}
	l->fed += part;
	if (part > 0)
		l->fed_ms = n->events->now_ms;
	if (gate_exchange_state(l->gx) == GATE_REFUSED) {
		refuse(l);
	} else if (l->fed < end) {
		if (end - l->fed < part)
			part = end - l->fed;
		if (!n->faults->path.hold_request)
			next = net_link_send(n, &n->up, part);
		events_at(n->events, next, on_feed, l);
	} else if (l->fed < l->plan.stop_at && l->body->open) {
		l->starved = true;
	} else if (l->fed == l->body->len || l->plan.looks_complete) {
		on_whole(l);
	} else {
		leg_abandon(l, rng_chance(&n->rng, 500));
	}
}

void leg_body_arrived(struct net *n, const struct net_blob *body)
{
	for (struct leg *l = n->legs; l != NULL; l = l->next) {
		if (l->body != body || !l->starved)
			continue;
		l->starved = false;
		on_feed(l);
	}
}

void leg_body_lost(struct net *n, const struct net_blob *body, bool told)
{
	for (struct leg *l = n->legs; l != NULL; l = l->next)
		if (l->body == body && l->call == NULL && !l->whole)
			leg_abandon(l, told);
}

void leg_more(struct leg *l)
{
	if (l->gx != NULL && l->whole)
		on_ready(l);
}

/* May we pull now? */
static bool wanted(const struct leg *l)
{
	if (l->gx == NULL || l->stalled)
		return false;
	if (gate_exchange_state(l->gx) != GATE_READY)
		return false;
	if (l->call == NULL)
		return l->pulled < BLIND_MAX;
	return net_call_takes(l->call);
}

static void pull(struct leg *l)
{
	static uint8_t room[32768];
	struct net *n = l->net;
	size_t max = rng_chance(&n->rng, 300) ?
	    rng_between(&n->rng, GATE_PULL_MIN, sizeof(room)) : sizeof(room);
	bool done = false;
	size_t len = gate_exchange_pull(l->gx, room, max, &done,
	    net_gate_now(n));

	n->gate_touched = true;
	l->active_ms = n->events->now_ms;
	l->pulled += len;
	if (len > max)
		trace_fail(n->trace, "pulled %zu bytes into %zu", len, max);
	if (l->repeated && l->pulled > REPEAT_MAX)
		trace_fail(n->trace, "leg %" PRIu64 ": a repeated request is "
		    "answered with %zu bytes", l->serial, l->pulled);
	if (len == 0 && !done && gate_exchange_state(l->gx) == GATE_READY)
		trace_fail(n->trace, "ready, but nothing to pull");
	if (l->call != NULL && len > 0)
		net_call_body(l->call, room, len);
	if (!done)
		return;
	trace_say(n->trace, "leg=%" PRIu64 " answered bytes=%zu", l->serial,
	    l->pulled);
	if (l->call != NULL)
		net_call_end(l->call, LANES_DONE, 200);
	finish(l);
}

static void on_pull(void *ctx)
{
	struct leg *l = ctx;

	l->pulling = false;
	if (l->gx != NULL && gate_exchange_state(l->gx) == GATE_REFUSED) {
		refuse(l);
		return;
	}
	while (wanted(l) && !l->net->trace->failed)
		pull(l);
	if (l->gx != NULL && l->call == NULL && l->pulled >= BLIND_MAX &&
	    !l->stalled)
		leg_stall(l);
}
