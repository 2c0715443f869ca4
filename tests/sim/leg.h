/*
 * One delivery of a request to the gateway: feeds the body in, pulls the
 * response out. Legs stay in the list of their network until the very end, so
 * that events which come too late find them.
 */
#ifndef TESTS_SIM_LEG_H
#define TESTS_SIM_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leg;
struct net;
struct net_blob;
struct net_call;

/* How the request arrives. */
struct leg_plan {
	uint64_t begin_ms;	/* when its head reaches the gateway */
	size_t stop_at;		/* bytes that arrive; SIZE_MAX: all */
	bool looks_complete;	/* after which it seems to be whole */
	size_t flip_at;		/* this byte is wrong; SIZE_MAX: none */
	bool foreign;		/* not from our client: nonsense */
};

/*
 * The response is passed to call, or nowhere when that is NULL. The body is
 * referenced, not copied.
 */
struct leg *leg_new(struct net *n, struct net_call *call,
    struct net_blob *body, const struct leg_plan *plan);

/* The client has gone; the gateway may be told of it or not. */
void leg_abandon(struct leg *l, bool told);

/* The connection has gone silent: nothing more arrives on it. */
void leg_stall(struct leg *l);

/* The client's end of the path has room for more of the response. */
void leg_more(struct leg *l);

/* More of this body has arrived, or its end. */
void leg_body_arrived(struct net *n, const struct net_blob *body);

/* There will be no more of this body. */
void leg_body_lost(struct net *n, const struct net_blob *body, bool told);

/* The gateway goes away. */
void leg_gate_down(struct leg *l);

struct leg *leg_next(const struct leg *l);
void leg_free(struct leg *l);

#endif
