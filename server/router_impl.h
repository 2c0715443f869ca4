/*
 * What router.c and router_state.c (an upgrade) share. Nobody else includes
 * this.
 */
#ifndef SERVER_ROUTER_IMPL_H
#define SERVER_ROUTER_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uv.h>

#include "common/log.h"
#include "common/pump.h"
#include "server/quota.h"
#include "server/router.h"

struct route {
	TAILQ_ENTRY(route) link;
	struct router *router;
	struct router_owner owner;
	struct stream *stream;		/* NULL once it is gone */
	uint64_t stream_id;
	char *server;			/* NULL: waiting for its name */
	struct domino *domino;		/* while connecting */
	struct pump *pump;		/* afterwards */
	uv_timer_t first_bytes;		/* while waiting for the name */
	uint64_t opened_ms;
	uint64_t wait_ms;		/* until router_start: for the name */
};

struct router {
	uv_loop_t *loop;
	struct router_rules rules;
	void (*on_portion)(void *ctx);
	void *ctx;
	struct quota *quota;
	struct log_limit refusals, device_limit, all_limit;
	uint64_t opened, bytes_in, bytes_out;	/* bytes: of those closed */
	TAILQ_HEAD(, route) routes;
};

/*
 * A route, in the list, that waits for nothing yet; its place in the quota has
 * been taken, and is given back on failure. NULL without memory.
 */
struct route *route_new(struct router *r, const struct router_owner *owner,
    struct stream *st, uint64_t opened_ms);

/* Wait so long for the first packet, and look at what is there of it. */
void route_wait_for_name(struct route *route, uint64_t wait_ms);

/* To the server of this name, if the device may. */
void route_to(struct route *route, const void *name, size_t name_len);

extern const struct pump_ops route_pump_ops;

#endif
