/*
 * What the parts of the network share: net.c has the path as a whole,
 * net_request.c the way of a call to the gateway, net_response.c its way back.
 */
#ifndef TESTS_SIM_NET_IMPL_H
#define TESTS_SIM_NET_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/faults.h"
#include "tests/sim/leg.h"
#include "tests/sim/net.h"

struct piece;

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
	bool query;		/* without a body: all is in the URL */
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

/* ---- net.c ------------------------------------------------------------ */

/* p, which must not be NULL. */
void *net_must(void *p);

/* ---- net_response.c --------------------------------------------------- */

/* The next to arrive of what was sent; to be freed. */
struct piece *net_take_piece(struct net_call *c);

/* Does the gateway's side hear that a call has ended badly? */
bool net_told_of_loss(struct net *n);

/* What the gateway still says in answer is for nobody. */
void net_let_go(struct net_call *c, bool told);

/* The client no longer waits, for whatever reason. */
void net_close_call(struct net_call *c, bool told);

/* The client learns at at_ms that the call has ended, and how. */
void net_send_end(struct net_call *c, enum lanes_result result,
    unsigned status, uint64_t at_ms);

/* A page of somebody else's instead of a response. */
void net_send_page(struct net_call *c, uint64_t at_ms);

#endif
