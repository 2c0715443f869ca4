/*
 * The virtual HTTP network between a client engine (lanes.h) and a gateway
 * engine (gate.h): connections, a proxy, limited rates, and faults.
 *
 * A call is an exchange as the client sees it; a leg (leg.h) is one delivery
 * of its request to the gateway, of which there can be none or several. Both
 * engines are only ever entered from events, never from within each other.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/gate.h"
#include "common/lanes.h"
#include "tests/sim/events.h"
#include "tests/sim/faults.h"
#include "tests/sim/rng.h"
#include "tests/sim/trace.h"

#define NET_RECORDED 24u	/* requests and responses kept for replay */

/* A request's or response's bytes, shared by all who still need them. */
struct net_blob {
	unsigned refs;
	uint8_t id[RECORD_ID_LEN];	/* a request's: where it is posted */
	uint64_t taken_by;	/* the gateway session that took it whole */
	bool hello;
	bool open;		/* its end has not arrived yet */
	size_t arrived;		/* and so much of it has; else len */
	size_t len;
	uint8_t data[];
};
struct net_blob *net_blob_new(const void *data, size_t len);
struct net_blob *net_blob_ref(struct net_blob *b);
void net_blob_unref(struct net_blob *b);	/* accepts NULL */

/* One direction of the path, with a limited rate. */
struct net_link {
	uint64_t rate;		/* bytes a second; 0: no limit */
	uint64_t free_us;	/* busy until then */
};

struct net_call;
struct leg;

struct net {
	/* Set by the owner before net_init; the engines may come and go. */
	struct events *events;
	struct trace *trace;
	struct faults *faults;
	struct lanes *lanes;
	struct gate *gate;		/* NULL while it is down */
	uint64_t gate_skew_ms;		/* its clock shows that much more */
	/* Before an upgrade: requests made from then on wait until then. */
	uint64_t quiet_from_ms, quiet_until_ms;
	uint64_t session_serial;	/* of the gateway's session; 0: none */
	/* Read by the owner. */
	bool lanes_touched, gate_touched;
	uint64_t posts, failures;	/* exchanges begun; badly ended */
	unsigned open_calls, open_legs;
	uint64_t last_taken_ms;		/* last byte of a whole request */
	/* Private. */
	struct rng rng;
	struct net_link up, down;
	uint64_t outage_end_ms;
	struct net_call *slots[LANES_SLOTS];
	struct net_call *calls;
	struct leg *legs;
	struct net_conn *conns;
	struct net_push *pushes;
	struct net_blob *requests[NET_RECORDED];
	struct net_blob *responses[NET_RECORDED];
};

void net_init(struct net *n, uint64_t seed);
void net_fini(struct net *n);		/* after the engines are gone */

/* lanes_ops.post, .query, .move and .cancel. */
void net_post(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh);
void net_query(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh);
void net_cancel(struct net *n, unsigned slot);

/* lanes_ops.open, .append, .finish and .unsent. */
void net_open(struct net *n, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh);
void net_append(struct net *n, unsigned slot, const uint8_t *data,
    size_t len);
void net_finish(struct net *n, unsigned slot);
size_t net_unsent(struct net *n, unsigned slot);
void net_move(struct net *n, unsigned from, unsigned to);

/* The gateway goes away: everything that it holds fails. Then free it. */
void net_gate_down(struct net *n);

/* See enum faults_event. */
void net_cut_all(struct net *n);
void net_blackhole(struct net *n);
void net_outage(struct net *n, uint64_t for_ms);
void net_replay(struct net *n);
void net_garbage(struct net *n);

/* ---- for leg.c -------------------------------------------------------- */

/* When len bytes that are sent now will have left the link's bottleneck. */
uint64_t net_link_send(struct net *n, struct net_link *link, size_t len);

/* One way across, with jitter; an outage prolongs it. */
uint64_t net_arrival(struct net *n, uint64_t sent_ms);

/* The gateway's clock. */
uint64_t net_gate_now(const struct net *n);

/* Bytes of the response to a call, as they leave the gateway; then its end. */
void net_call_body(struct net_call *c, const uint8_t *data, size_t len);
void net_call_end(struct net_call *c, enum lanes_result result,
    unsigned status);

/* May more of the response be handed to net_call_body now? */
bool net_call_takes(const struct net_call *c);

#endif
