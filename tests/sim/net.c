#include "config.h"

#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/net_impl.h"

void *net_must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct net_blob *net_blob_new(const void *data, size_t len)
{
	struct net_blob *b = net_must(calloc(1, sizeof(*b) + len));

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
			free(net_take_piece(c));
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
		net_let_go(c, net_told_of_loss(n));
		net_send_end(c, LANES_FAILED, 0, now +
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
