/*
 * The request's way to the gateway: the calls that the client makes, and the
 * bodies that stay open.
 */
#include "config.h"

#include "tests/sim/net_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"

#define HELLO_SLOTS 6u		/* recorded requests that are hellos */
#define OPEN_MAX 1048576u	/* bytes of a body that goes on */
#define OPEN_PLAN 4096u		/* faults hit one among these */

/* The connection that this call goes out on. */
static struct net_conn *choose_conn(struct net *n, unsigned path, bool fresh,
    bool *is_new)
{
	struct net_conn *c;

	*is_new = false;
	/* As the carrier does it: with one doubted, all are. */
	for (c = n->conns; fresh && c != NULL; c = c->next)
		c->retired = true;
	for (c = n->conns; c != NULL; c = c->next)
		if (!c->closed && !c->retired && c->path == path &&
		    (n->faults->path.http2 || c->users == 0))
			return c;
	c = net_must(calloc(1, sizeof(*c)));
	c->next = n->conns;
	n->conns = c;
	c->path = path;
	*is_new = true;
	return c;
}

static void keep_request(struct net *n, struct net_blob *b)
{
	size_t i;

	if (b->hello)
		i = rng_below(&n->rng, HELLO_SLOTS);
	else if (rng_chance(&n->rng, 250))
		i = HELLO_SLOTS + rng_below(&n->rng,
		    NET_RECORDED - HELLO_SLOTS);
	else
		return;
	net_blob_unref(n->requests[i]);
	n->requests[i] = net_blob_ref(b);
}

/* Start the deliveries of a request that does reach the gateway. */
static void start_legs(struct net_call *c, uint64_t at_ms)
{
	struct net *n = c->net;
	const struct faults_plan *f = &c->plan;
	bool deaf = f->kind == FAULTS_LATE || f->kind == FAULTS_LOST_DOWN ||
	    f->kind == FAULTS_CUT_UP;
	struct leg_plan p = {
		.begin_ms = at_ms, .stop_at = SIZE_MAX, .flip_at = SIZE_MAX,
	};
	unsigned main_leg = f->twice && f->second ? 1 : 0;

	if (f->kind == FAULTS_CUT_UP || f->kind == FAULTS_SHORT_UP)
		p.stop_at = f->at;
	if (f->kind == FAULTS_FLIP_UP)
		p.flip_at = f->at;
	p.looks_complete = f->kind == FAULTS_SHORT_UP;
	if (f->kind == FAULTS_LATE || f->kind == FAULTS_SLOW)
		p.begin_ms += f->wait_ms;
	for (unsigned i = 0; i < (f->twice ? 2u : 1u); i++) {
		bool heard = i == main_leg && !deaf;
		struct leg *l = leg_new(n, heard ? c : NULL, c->body, &p);

		if (heard)
			c->leg = l;
		p.begin_ms += f->twice_ms;
	}
}

/* What the client hears when its request or the response gets lost. */
static void lose(struct net_call *c, uint64_t at_ms)
{
	if (!c->plan.told)
		return;
	if (c->plan.told_ms % 3 == 0)
		net_send_end(c, LANES_STATUS, 504, at_ms + c->plan.told_ms);
	else
		net_send_end(c, LANES_FAILED, 0, at_ms + c->plan.told_ms);
}

/* The request has left the client and nothing is in its way yet. */
static void dispatch(struct net_call *c, uint64_t out_ms)
{
	struct net *n = c->net;
	const struct faults_path *path = &n->faults->path;
	/* The rest of what is not held back is charged as it arrives. */
	uint64_t sent = net_link_send(n, &n->up, path->hold_request ||
	    c->body->len < path->chunk_max ? c->body->len : path->chunk_max);
	uint64_t at = net_arrival(n, sent > out_ms ? sent : out_ms);
	uint64_t back = at + path->latency_ms;

	if (c->body->open && path->hold_request) {
		c->deferred = true;
		return;
	}
	if (c->query && path->query_status > 0) {
		net_send_end(c, path->query_status == 1 ? LANES_FAILED :
		    LANES_STATUS, path->query_status, back);
		return;
	}
	if (path->body_max > 0 && c->body->len > path->body_max) {
		net_send_end(c, LANES_STATUS, path->body_status, back);
		return;
	}
	switch (c->plan.kind) {
	case FAULTS_STATUS:
		net_send_end(c, LANES_STATUS, c->plan.status, back);
		return;
	case FAULTS_HTML:
		net_send_page(c, back);
		return;
	case FAULTS_LOST:
		lose(c, back);
		return;
	case FAULTS_LATE:
	case FAULTS_LOST_DOWN:
	case FAULTS_CUT_UP:
		lose(c, back);
		break;
	default:
		break;
	}
	if (c->plan.kind == FAULTS_CUT_UP && path->hold_request)
		return;
	start_legs(c, at);
}

static struct net_call *new_call(struct net *n, unsigned slot,
    struct net_blob *body, size_t plan_len)
{
	struct net_call *c = net_must(calloc(1, sizeof(*c)));

	c->net = n;
	c->next = n->calls;
	n->calls = c;
	c->slot = slot;
	c->serial = ++n->posts;
	c->open = true;
	c->body = body;
	memcpy(c->body->id, lanes_id(n->lanes), sizeof(c->body->id));
	faults_plan(n->faults, &n->rng, plan_len, &c->plan);
	c->records = n->faults->per_mille[FAULTS_STALE_DOWN] > 0 &&
	    rng_chance(&n->rng, 200);
	n->slots[slot] = c;
	n->open_calls++;
	return c;
}

/* The call goes out, as far as the network lets it. */
static void go(struct net_call *c, unsigned path, bool fresh)
{
	struct net *n = c->net;
	bool is_new;

	c->conn = choose_conn(n, path, fresh, &is_new);
	c->conn->users++;
	trace_say(n->trace, "net call=%" PRIu64 " slot=%u %s bytes=%zu%s%s "
	    "plan=%s%s", c->serial, c->slot, c->body->open ? "open" :
	    c->query ? "query" : "post",
	    c->body->len, fresh ? " fresh" : "", c->conn->dead ? " dead" : "",
	    faults_kind_name(c->plan.kind), c->plan.twice ? " twice" : "");
	if (c->conn->dead)
		return;
	if (n->events->now_ms < n->outage_end_ms) {
		c->plan.kind = FAULTS_LOST;
		c->conn->closed = true;
		lose(c, n->events->now_ms);
		return;
	}
	/* TCP and TLS take two round trips before anything can be said. */
	c->last_up_ms = n->events->now_ms +
	    (is_new ? 4 * n->faults->path.latency_ms : 0);
	dispatch(c, c->last_up_ms);
}

static bool may_post(struct net *n, unsigned slot, size_t len)
{
	if (slot < LANES_SLOTS && n->slots[slot] == NULL && len > 0)
		return true;
	trace_fail(n->trace, "post in slot %u of %zu bytes, %s", slot, len,
	    slot < LANES_SLOTS && n->slots[slot] != NULL ? "which is in use" :
	    "which cannot be");
	return false;
}

static void send_whole(struct net *n, unsigned slot, const uint8_t *body,
    size_t len, bool query, unsigned path, bool fresh)
{
	struct net_call *c;

	if (!may_post(n, slot, len))
		return;
	c = new_call(n, slot, net_blob_new(body, len), len);
	c->lent = body;
	c->query = query;
	keep_request(n, c->body);
	go(c, path, fresh);
}

void net_post(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	send_whole(n, slot, body, len, false, path, fresh);
}

void net_query(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	if (len > CRYPTO_BASE64_MAX)
		trace_fail(n->trace, "a query of %zu bytes", len);
	send_whole(n, slot, body, len, true, path, fresh);
}

/* ---- a body that stays open ------------------------------------------- */

static void on_push(void *ctx)
{
	struct net_push *p = ctx;
	struct net_call *c = p->call;
	struct net *n = c->net;
	struct net_push **at = &n->pushes;

	if (c->body == p->body && !p->conn->dead) {
		c->come += p->len;
		if (p->end || !n->faults->path.hold_request)
			p->body->arrived = c->come;
		if (p->end)
			p->body->open = false;
		if (c->deferred && p->end) {
			c->deferred = false;
			keep_request(n, p->body);
			dispatch(c, n->events->now_ms);
		} else {
			leg_body_arrived(n, p->body);
		}
	}
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	net_blob_unref(p->body);
	free(p);
}

static void push(struct net_call *c, size_t len, bool end)
{
	struct net *n = c->net;
	struct net_push *p = net_must(calloc(1, sizeof(*p)));
	uint64_t at = net_arrival(n, net_link_send(n, &n->up, len));

	*p = (struct net_push){ n->pushes, c, net_blob_ref(c->body), c->conn,
	    len, end };
	n->pushes = p;
	if (!end && c->body->len > len)		/* not its beginning */
		at += n->faults->path.more_ms;
	if (at < c->last_up_ms)
		at = c->last_up_ms;
	c->last_up_ms = at;
	events_at(n->events, at, on_push, p);
}

void net_open(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct net_blob *b = net_must(calloc(1, sizeof(*b) + OPEN_MAX));
	struct net_call *c;

	b->refs = 1;
	b->open = true;
	if (!may_post(n, slot, len)) {
		net_blob_unref(b);
		return;
	}
	c = new_call(n, slot, b, OPEN_PLAN);
	go(c, path, fresh);
	net_append(n, slot, body, len);
}

/* The call whose body goes on, or NULL. */
static struct net_call *open_call(struct net *n, unsigned slot)
{
	struct net_call *c = slot < LANES_SLOTS ? n->slots[slot] : NULL;

	if (c != NULL && c->lent == NULL)
		return c;
	trace_fail(n->trace, "the body in slot %u is not open", slot);
	return NULL;
}

void net_append(struct net *n, unsigned slot, const uint8_t *data, size_t len)
{
	struct net_call *c = open_call(n, slot);
	uint64_t most = n->faults->path.body_max;

	if (c == NULL)
		return;
	if (len > OPEN_MAX - c->body->len) {
		trace_fail(n->trace, "the body in slot %u is too long", slot);
		return;
	}
	memcpy(c->body->data + c->body->len, data, len);
	c->body->len += len;
	if (most > 0 && c->body->len > most)
		net_call_end(c, LANES_STATUS, n->faults->path.body_status);
	else
		push(c, len, false);
}

void net_finish(struct net *n, unsigned slot)
{
	struct net_call *c = open_call(n, slot);

	if (c != NULL)
		push(c, 0, true);
}

size_t net_unsent(struct net *n, unsigned slot)
{
	uint64_t now_us = n->events->now_ms * 1000;

	(void)open_call(n, slot);
	if (n->up.rate == 0 || n->up.free_us <= now_us)
		return 0;
	return (size_t)((n->up.free_us - now_us) * n->up.rate / 1000000);
}

void net_move(struct net *n, unsigned from, unsigned to)
{
	if (n->slots[from] == NULL || n->slots[to] != NULL) {
		trace_fail(n->trace, "slot %u cannot move to %u", from, to);
		return;
	}
	trace_say(n->trace, "net call=%" PRIu64 " slot=%u moves to=%u",
	    n->slots[from]->serial, from, to);
	n->slots[to] = n->slots[from];
	n->slots[to]->slot = to;
	n->slots[from] = NULL;
}

void net_cancel(struct net *n, unsigned slot)
{
	struct net_call *c = slot < LANES_SLOTS ? n->slots[slot] : NULL;

	if (c == NULL) {
		trace_fail(n->trace, "cancel of slot %u, which is free", slot);
		return;
	}
	trace_say(n->trace, "net call=%" PRIu64 " slot=%u cancelled",
	    c->serial, slot);
	n->failures++;
	if (!n->faults->path.http2)
		c->conn->closed = true;
	net_close_call(c, net_told_of_loss(n) && !c->conn->dead);
}
