/* The response's way to the client, in pieces, to the end of the call. */
#include "config.h"

#include "tests/sim/net_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 262144u	/* bytes under way before the sender waits */

/* Some bytes of a response on their way to the client, or its end. */
struct piece {
	struct piece *next;
	bool end;
	enum lanes_result result;
	unsigned status;
	size_t len;
	uint8_t data[];
};

struct piece *net_take_piece(struct net_call *c)
{
	struct piece *p = c->first;

	c->first = p->next;
	if (c->first == NULL)
		c->last = NULL;
	return p;
}

/* Does anyone wait for the response? */
static bool is_open(const struct net_call *c)
{
	return c->open && !c->conn->dead;
}

bool net_call_takes(const struct net_call *c)
{
	return c->queued < QUEUE_MAX || c->net->faults->path.hold_response;
}

bool net_told_of_loss(struct net *n)
{
	return !rng_chance(&n->rng, n->faults->path.blind_per_mille);
}

void net_let_go(struct net_call *c, bool told)
{
	if (c->leg != NULL)
		leg_abandon(c->leg, told);
	c->leg = NULL;
}

void net_close_call(struct net_call *c, bool told)
{
	struct net *n = c->net;

	c->open = false;
	n->slots[c->slot] = NULL;
	n->open_calls--;
	c->conn->users--;
	net_let_go(c, told);
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
	net_close_call(c, net_told_of_loss(n));
	n->lanes_touched = true;
	lanes_on_end(n->lanes, slot, result, status, "simulated",
	    n->events->now_ms);
}

static void on_piece(void *ctx)
{
	struct net_call *c = ctx;
	struct piece *p = net_take_piece(c);
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

void net_send_end(struct net_call *c, enum lanes_result result,
    unsigned status, uint64_t at_ms)
{
	struct piece *p = net_must(calloc(1, sizeof(*p)));

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
		p = net_must(calloc(1, sizeof(*p) + part));
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
	s->data = net_must(realloc(s->data, s->len + len));
	memcpy(s->data + s->len, data, len);
	s->len += len;
}

/* The plan says that the response breaks off here. */
static void cut_response(struct net_call *c)
{
	uint64_t at = net_arrival(c->net, c->net->events->now_ms);

	c->cut = true;
	net_let_go(c, net_told_of_loss(c->net));
	if (c->plan.kind == FAULTS_SHORT_DOWN)
		net_send_end(c, LANES_DONE, 200, at);
	else if (c->plan.told)
		net_send_end(c, LANES_FAILED, 0, at + c->plan.told_ms);
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

void net_send_page(struct net_call *c, uint64_t at_ms)
{
	struct piece *p = net_must(calloc(1, sizeof(*p) + sizeof(page)));

	memcpy(p->data, page, sizeof(page));
	p->len = sizeof(page);
	c->queued += p->len;
	send_piece(c, p, at_ms);
	net_send_end(c, LANES_DONE, 200, at_ms);
}

/* Another response, recorded before, instead of the right one. */
static void send_stale(struct net_call *c)
{
	struct net *n = c->net;
	struct net_blob *b = n->responses[rng_below(&n->rng, NET_RECORDED)];

	if (b != NULL)
		send_bytes(c, b->data, b->len);
	net_send_end(c, LANES_DONE, 200, net_arrival(n, n->events->now_ms));
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
		net_send_page(c, at);
		break;
	case FAULTS_STATUS_DOWN:
		net_send_end(c, LANES_STATUS, c->plan.status, at);
		break;
	default:
		net_send_end(c, result, status, at);
		break;
	}
}
