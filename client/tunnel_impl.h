/*
 * What tunnel.c (beginning, the loop's turns, end) and tunnel_join.c (where
 * engine and carrier meet) share. Nobody else includes this.
 */
#ifndef CLIENT_TUNNEL_IMPL_H
#define CLIENT_TUNNEL_IMPL_H

#include "client/tunnel.h"

#include "client/carrier.h"
#include "client/listener.h"
#include "client/netwatch.h"
#include "client/setup.h"
#include "client/sleepwatch.h"
#include "common/lanes.h"
#include "common/log.h"

#define LOG_BURST 5u		/* lines of one kind per LOG_PER_MS */
#define LOG_PER_MS 60000u

struct tunnel {
	uv_loop_t *loop;
	const struct setup *setup;
	const struct tunnel_ops *ops;
	void *ctx;
	struct lanes *lanes;
	struct carrier *carrier;
	struct guests *guests;
	struct netwatch *netwatch;
	struct sleepwatch *sleepwatch;
	struct listener *listeners[SETUP_LISTEN_MAX];
	unsigned listener_count;

	uv_prepare_t prepare;	/* runs the engine before the loop waits */
	uv_timer_t deadline;	/* the engine's, or the goodbye's end */
	unsigned open_handles;
	bool wake;		/* the engine has something to do */
	bool stopping, stopped;
	uint64_t stop_ms;	/* when the goodbye has to be over */

	enum lanes_state state;
	char reason[256];
	uint64_t since_ms;
	uint64_t session_number;	/* of the session logged last */
	uint8_t id[RECORD_ID_LEN];	/* the one that the URL holds */
	uint64_t hello_ms;		/* when the last hello went out */
	uint32_t hello_rtt_ms;		/* and how long its answer took */
	uint64_t noticed[TUNNEL_NOTICED];
	char noticed_what[96];
	uint64_t noticed_ms;
	struct log_limit noticed_limit;
	struct log_limit up_limit, down_limit, refused_limit;
};

uint64_t tunnel_now(const struct tunnel *t);

/* ---- tunnel_join.c ---------------------------------------------------- */

extern const struct lanes_ops tunnel_lanes_ops;
extern const struct carrier_ops tunnel_carrier_ops;

/* The path's, or how long the last hello took; 0: not known. */
uint32_t tunnel_rtt_ms(const struct tunnel *t);

/* Something happened to the network: one line, and for the status. */
void tunnel_notice(struct tunnel *t, enum tunnel_noticed kind,
    const char *what);

/* Lines like the last one that were swallowed before it. */
void tunnel_log_suppressed(unsigned count);

#endif
