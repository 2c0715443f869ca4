#include "config.h"

#include "tests/sim/net.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/leg.h"

#define QUEUE_MAX 262144u	/* bytes under way before the sender waits */
#define HELLO_SLOTS 6u		/* recorded requests that are hellos */
#define OPEN_MAX 1048576u	/* bytes of a body that goes on */
#define OPEN_PLAN 4096u		/* faults hit one among these */

/* A TCP connection of the client's. */
struct net_conn {
	struct net_conn *next;
	unsigned path;
	unsigned users;		/* calls on it */
	bool dead;		/* silent for good, and nobody knows */
	bool closed;
	bool retired;		/* no new call goes out on it */
};

/* Bytes that somebody keeps. */
struct net_store {
	uint8_t *data;
	size_t len;
};

struct net_call {
	struct net *net;
	struct net_call *next;
	unsigned slot;
	uint64_t serial;
	bool open;		/* the client waits for it */
	const uint8_t *lent;	/* the engine's own copy of the body */
	struct net_blob *body;
	struct net_conn *conn;
	struct faults_plan plan;
	struct leg *leg;	/* whose response it waits for */
	size_t passed;		/* bytes of the response handed on */
	size_t queued;		/* of these, still under way */
	bool cut;		/* nothing more is handed on */
	struct piece *first, *last;	/* under way, in this order */
	uint64_t last_ms;	/* when the last one arrives */
	bool deferred;		/* the proxy waits for all of the body */
	size_t come;		/* of an open body, as far as the proxy */
	uint64_t last_up_ms;	/* when the last of that arrives */
	struct net_store kept;	/* by a proxy that wants it whole */
	struct net_store record;	/* to be replayed */
	bool records;
};

/* A piece of a body that goes on, on its way to the proxy, or its end. */
struct net_push {
	struct net_push *next;
	struct net_call *call;
	struct net_blob *body;
	struct net_conn *conn;
	size_t len;
	bool end;
};

/* Some bytes of a response on their way to the client, or its end. */
struct piece {
	struct piece *next;
	bool end;
	enum lanes_result result;
	unsigned status;
	size_t len;
	uint8_t data[];
};

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct net_blob *net_blob_new(const void *data, size_t len)
{
	struct net_blob *b = must(calloc(1, sizeof(*b) + len));

	b->refs = 1;
	b->len = b->arrived = len;
	if (len > 0)
		memcpy(b->data, data, len);
	b->hello = len > 0 && b->data[0] == HELLO_MARK;
	return b;
}

struct net_blob *net_blob_ref(struct net_blob *b)
{
	b->refs++;
	return b;
}

void net_blob_unref(struct net_blob *b)
{
	if (b != NULL && --b->refs == 0)
		free(b);
}

/* They arrive in the order in which they were sent. */
static struct piece *take_piece(struct net_call *c)
{
	struct piece *p = c->first;

	c->first = p->next;
	if (c->first == NULL)
		c->last = NULL;
	return p;
}

void net_init(struct net *n, uint64_t seed)
{
	rng_init(&n->rng, seed, 2);
	n->up.rate = n->faults->path.up_rate;
	n->down.rate = n->faults->path.down_rate;
}

void net_fini(struct net *n)
{
	struct net_call *c;
	struct net_conn *conn;
	struct net_push *p;
	struct leg *l;

	while ((p = n->pushes) != NULL) {
		n->pushes = p->next;
		net_blob_unref(p->body);
		free(p);
	}
	while ((c = n->calls) != NULL) {
		n->calls = c->next;
		while (c->first != NULL)
			free(take_piece(c));
		net_blob_unref(c->body);
		free(c->kept.data);
		free(c->record.data);
		free(c);
	}
	while ((l = n->legs) != NULL) {
		n->legs = leg_next(l);
		leg_free(l);
	}
	while ((conn = n->conns) != NULL) {
		n->conns = conn->next;
		free(conn);
	}
	for (unsigned i = 0; i < NET_RECORDED; i++) {
		net_blob_unref(n->requests[i]);
		net_blob_unref(n->responses[i]);
	}
}

uint64_t net_gate_now(const struct net *n)
{
	return n->events->now_ms + n->gate_skew_ms;
}

uint64_t net_link_send(struct net *n, struct net_link *link, size_t len)
{
	uint64_t now_us = n->events->now_ms * 1000;

	if (link->free_us < now_us)
		link->free_us = now_us;
	if (link->rate > 0)
		link->free_us += len * UINT64_C(1000000) / link->rate;
	return link->free_us / 1000;
}

uint64_t net_arrival(struct net *n, uint64_t sent_ms)
{
	uint64_t at = sent_ms + n->faults->path.latency_ms;

	at += rng_below(&n->rng, n->faults->path.jitter_ms + 1);
	return at > n->outage_end_ms ? at :
	    n->outage_end_ms + rng_below(&n->rng, 300);
}

/* ---- the response's way to the client --------------------------------- */

/* Does anyone wait for the response? */
static bool is_open(const struct net_call *c)
{
	return c->open && !c->conn->dead;
}

bool net_call_takes(const struct net_call *c)
{
	return c->queued < QUEUE_MAX || c->net->faults->path.hold_response;
}

static bool told_of_loss(struct net *n)
{
	return !rng_chance(&n->rng, n->faults->path.blind_per_mille);
}

/* What the gateway still says in answer is for nobody. */
static void let_go(struct net_call *c, bool told)
{
	if (c->leg != NULL)
		leg_abandon(c->leg, told);
	c->leg = NULL;
}

/* The client no longer waits, for whatever reason. */
static void close_call(struct net_call *c, bool told)
{
	struct net *n = c->net;

	c->open = false;
	n->slots[c->slot] = NULL;
	n->open_calls--;
	c->conn->users--;
	let_go(c, told);
	if (c->body->open)
		leg_body_lost(n, c->body, told);
	net_blob_unref(c->body);
	c->body = NULL;
	free(c->kept.data);
	free(c->record.data);
	c->kept = c->record = (struct net_store){ 0 };
}

/* The last event of a call. */
static void finish_call(struct net_call *c, enum lanes_result result,
    unsigned status)
{
	struct net *n = c->net;
	unsigned slot = c->slot;

	trace_say(n->trace, "net call=%" PRIu64 " slot=%u ends result=%s "
	    "status=%u bytes=%zu", c->serial, slot, result == LANES_DONE ?
	    "done" : result == LANES_STATUS ? "status" : "failed", status,
	    c->passed);
	if (c->lent != NULL && memcmp(c->lent, c->body->data, c->body->len) != 0)
		trace_fail(n->trace, "the body of the exchange in slot %u "
		    "changed before its end", slot);
	if (result != LANES_DONE)
		n->failures++;
	if (result == LANES_FAILED && !n->faults->path.http2)
		c->conn->closed = true;
	close_call(c, told_of_loss(n));
	n->lanes_touched = true;
	lanes_on_end(n->lanes, slot, result, status, "simulated",
	    n->events->now_ms);
}

static void on_piece(void *ctx)
{
	struct net_call *c = ctx;
	struct piece *p = take_piece(c);
	struct net *n = c->net;

	c->queued -= p->len;
	if (is_open(c)) {
		if (p->len > 0) {
			n->lanes_touched = true;
			lanes_on_body(n->lanes, c->slot, p->data, p->len,
			    n->events->now_ms);
		}
		if (p->end && is_open(c))
			finish_call(c, p->result, p->status);
	}
	if (c->leg != NULL)
		leg_more(c->leg);
	free(p);
}

/* The client knows about it at at_ms, and not before earlier pieces. */
static void send_piece(struct net_call *c, struct piece *p, uint64_t at_ms)
{
	if (c->last != NULL)
		c->last->next = p;
	else
		c->first = p;
	c->last = p;
	if (at_ms < c->last_ms)
		at_ms = c->last_ms;
	c->last_ms = at_ms;
	events_at(c->net->events, at_ms, on_piece, c);
}

static void send_end(struct net_call *c, enum lanes_result result,
    unsigned status, uint64_t at_ms)
{
	struct piece *p = must(calloc(1, sizeof(*p)));

	p->end = true;
	p->result = result;
	p->status = status;
	send_piece(c, p, at_ms);
}

static void send_bytes(struct net_call *c, const uint8_t *data, size_t len)
{
	struct net *n = c->net;
	uint64_t slow_ms = c->plan.kind == FAULTS_SLOW ? c->plan.wait_ms : 0;

	while (len > 0) {
		size_t max = n->faults->path.chunk_max, part;
		struct piece *p;

		if (rng_chance(&n->rng, 100))
			max = rng_between(&n->rng, 1, max);
		part = len < max ? len : max;
		p = must(calloc(1, sizeof(*p) + part));
		p->len = part;
		memcpy(p->data, data, part);
		if (c->plan.kind == FAULTS_FLIP_DOWN &&
		    c->plan.at >= c->passed && c->plan.at - c->passed < part)
			p->data[c->plan.at - c->passed] ^= 0x10;
		c->queued += part;
		c->passed += part;
		send_piece(c, p, slow_ms + net_arrival(n,
		    net_link_send(n, &n->down, part)));
		data += part;
		len -= part;
	}
}

static void store(struct net_store *s, const uint8_t *data, size_t len)
{
	s->data = must(realloc(s->data, s->len + len));
	memcpy(s->data + s->len, data, len);
	s->len += len;
}

/* The plan says that the response breaks off here. */
static void cut_response(struct net_call *c)
{
	uint64_t at = net_arrival(c->net, c->net->events->now_ms);

	c->cut = true;
	let_go(c, told_of_loss(c->net));
	if (c->plan.kind == FAULTS_SHORT_DOWN)
		send_end(c, LANES_DONE, 200, at);
	else if (c->plan.told)
		send_end(c, LANES_FAILED, 0, at + c->plan.told_ms);
}

static void forward(struct net_call *c, const uint8_t *data, size_t len)
{
	bool cuts = c->plan.kind == FAULTS_CUT_DOWN ||
	    c->plan.kind == FAULTS_SHORT_DOWN;

	if (cuts && c->plan.at - c->passed < len) {
		send_bytes(c, data, c->plan.at - c->passed);
		cut_response(c);
		return;
	}
	send_bytes(c, data, len);
}

/* Is the real response thrown away, because the plan has another? */
static bool replaced(const struct net_call *c)
{
	switch (c->plan.kind) {
	case FAULTS_STALE_DOWN:
	case FAULTS_HTML_DOWN:
	case FAULTS_STATUS_DOWN:
		return true;
	default:
		return false;
	}
}

/* What a proxy kept until now. */
static void forward_kept(struct net_call *c)
{
	size_t len = c->kept.len;

	c->kept.len = 0;
	if (len > 0)
		forward(c, c->kept.data, len);
}

void net_call_body(struct net_call *c, const uint8_t *data, size_t len)
{
	if (!is_open(c) || c->cut || replaced(c))
		return;
	if (c->records)
		store(&c->record, data, len);
	if (c->net->faults->path.hold_response) {
		store(&c->kept, data, len);
		return;
	}
	forward_kept(c);
	if (!c->cut)
		forward(c, data, len);
}

static const char page[] = "<!DOCTYPE html><html><head><title>Welcome</title>"
    "</head><body><p>Please accept our terms.</p></body></html>\n";

static void send_page(struct net_call *c, uint64_t at_ms)
{
	struct piece *p = must(calloc(1, sizeof(*p) + sizeof(page)));

	memcpy(p->data, page, sizeof(page));
	p->len = sizeof(page);
	c->queued += p->len;
	send_piece(c, p, at_ms);
	send_end(c, LANES_DONE, 200, at_ms);
}

/* Another response, recorded before, instead of the right one. */
static void send_stale(struct net_call *c)
{
	struct net *n = c->net;
	struct net_blob *b = n->responses[rng_below(&n->rng, NET_RECORDED)];

	if (b != NULL)
		send_bytes(c, b->data, b->len);
	send_end(c, LANES_DONE, 200, net_arrival(n, n->events->now_ms));
}

static void keep_response(struct net_call *c)
{
	struct net *n = c->net;
	size_t i = rng_below(&n->rng, NET_RECORDED);

	net_blob_unref(n->responses[i]);
	n->responses[i] = net_blob_new(c->record.data, c->record.len);
}

void net_call_end(struct net_call *c, enum lanes_result result,
    unsigned status)
{
	struct net *n = c->net;
	uint64_t at = net_arrival(n, n->events->now_ms);

	if (!is_open(c) || c->cut)
		return;
	if (c->record.data != NULL && c->record.len < 65536)
		keep_response(c);
	if (result == LANES_DONE)
		forward_kept(c);
	if (c->cut)
		return;
	c->cut = true;
	switch (c->plan.kind) {
	case FAULTS_STALE_DOWN:
		send_stale(c);
		break;
	case FAULTS_HTML_DOWN:
		send_page(c, at);
		break;
	case FAULTS_STATUS_DOWN:
		send_end(c, LANES_STATUS, c->plan.status, at);
		break;
	default:
		send_end(c, result, status, at);
		break;
	}
}

/* ---- the request's way to the gateway --------------------------------- */

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
	c = must(calloc(1, sizeof(*c)));
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
		send_end(c, LANES_STATUS, 504, at_ms + c->plan.told_ms);
	else
		send_end(c, LANES_FAILED, 0, at_ms + c->plan.told_ms);
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
	if (path->body_max > 0 && c->body->len > path->body_max) {
		send_end(c, LANES_STATUS, path->body_status, back);
		return;
	}
	switch (c->plan.kind) {
	case FAULTS_STATUS:
		send_end(c, LANES_STATUS, c->plan.status, back);
		return;
	case FAULTS_HTML:
		send_page(c, back);
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
	struct net_call *c = must(calloc(1, sizeof(*c)));

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
	    "plan=%s%s", c->serial, c->slot, c->body->open ? "open" : "post",
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

void net_post(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct net_call *c;

	if (!may_post(n, slot, len))
		return;
	c = new_call(n, slot, net_blob_new(body, len), len);
	c->lent = body;
	keep_request(n, c->body);
	go(c, path, fresh);
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
	struct net_push *p = must(calloc(1, sizeof(*p)));
	uint64_t at = net_arrival(n, net_link_send(n, &n->up, len));

	*p = (struct net_push){ n->pushes, c, net_blob_ref(c->body), c->conn,
	    len, end };
	n->pushes = p;
	if (at < c->last_up_ms)
		at = c->last_up_ms;
	c->last_up_ms = at;
	events_at(n->events, at, on_push, p);
}

void net_open(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct net_blob *b = must(calloc(1, sizeof(*b) + OPEN_MAX));
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
	close_call(c, told_of_loss(n) && !c->conn->dead);
}

/* ---- what happens to the whole ---------------------------------------- */

void net_gate_down(struct net *n)
{
	for (struct leg *l = n->legs; l != NULL; l = leg_next(l))
		leg_gate_down(l);
}

void net_cut_all(struct net *n)
{
	uint64_t now = n->events->now_ms;

	for (struct net_conn *c = n->conns; c != NULL; c = c->next)
		c->closed = true;
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		struct net_call *c = n->slots[i];

		if (c == NULL || c->conn->dead)
			continue;
		c->cut = true;
		let_go(c, told_of_loss(n));
		send_end(c, LANES_FAILED, 0, now +
		    rng_below(&n->rng, n->faults->path.latency_ms + 1));
	}
}

void net_blackhole(struct net *n)
{
	for (struct net_conn *c = n->conns; c != NULL; c = c->next)
		c->dead = true;
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		struct net_call *c = n->slots[i];

		if (c != NULL && c->leg != NULL)
			leg_stall(c->leg);
	}
}

void net_outage(struct net *n, uint64_t for_ms)
{
	if (n->outage_end_ms < n->events->now_ms + for_ms)
		n->outage_end_ms = n->events->now_ms + for_ms;
}

void net_replay(struct net *n)
{
	struct net_blob *b = n->requests[rng_below(&n->rng, NET_RECORDED)];
	struct leg_plan p = {
		.begin_ms = n->events->now_ms, .stop_at = SIZE_MAX,
		.flip_at = SIZE_MAX,
	};

	if (b == NULL)
		return;
	trace_say(n->trace, "net replay bytes=%zu%s", b->len,
	    b->hello ? " hello" : "");
	leg_new(n, NULL, b, &p);
}

void net_garbage(struct net *n)
{
	struct leg_plan p = {
		.begin_ms = n->events->now_ms, .stop_at = SIZE_MAX,
		.flip_at = SIZE_MAX, .foreign = true,
	};
	uint8_t data[600];
	size_t len = 1 + rng_size(&n->rng, sizeof(data) - 1);
	struct net_blob *b;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)rng_next(&n->rng);
	if (rng_chance(&n->rng, 300))
		data[0] = HELLO_MARK;
	b = net_blob_new(data, len);
	memcpy(b->id, lanes_id(n->lanes), sizeof(b->id));
	if (rng_chance(&n->rng, 300))
		b->id[0] ^= 1;		/* of a session that is not there */
	leg_new(n, NULL, b, &p);
	net_blob_unref(b);
}
