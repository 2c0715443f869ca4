/*
 * The sets of connections that exchanges go by, one for each path, and those
 * that were given up while something was still under way on them. Part of the
 * carrier.
 */
#ifndef CLIENT_CARRIER_PATHS_H
#define CLIENT_CARRIER_PATHS_H

#include <stdbool.h>

#include "client/carrier_pool.h"

struct carrier_paths {
	uv_loop_t *loop;
	unsigned count;
	unsigned max_connections;	/* of each */
	const struct carrier_pool_ops *ops;
	void *ctx;			/* theirs */
	/* Private: */
	struct path *path;
	struct carrier_pool **old;
	unsigned old_count, old_room;
	uv_timer_t *idle;
};

/*
 * The fields above "Private" are set. So many transfers at most are under way
 * at once. 0 or ERR_NOMEM; fini is right after both.
 */
int carrier_paths_init(struct carrier_paths *p, unsigned transfers);

/* Closes all connections. No transfer may be left. */
void carrier_paths_fini(struct carrier_paths *p);

/* The pool that new exchanges of this path go to. 0 or ERR_NOMEM. */
int carrier_paths_open(struct carrier_paths *p, unsigned path,
    struct carrier_pool **out);

/* Has the path no connection yet? */
bool carrier_paths_is_untouched(const struct carrier_paths *p, unsigned path);

/* This pool has called on_settled: it has one. */
void carrier_paths_touched(struct carrier_paths *p,
    const struct carrier_pool *pool);

/* No connection of today is used for what is opened from now on. */
void carrier_paths_retire(struct carrier_paths *p);

/* Free those that are no longer used and have run dry. */
void carrier_paths_reap(struct carrier_paths *p);

/* Is libcurl running on behalf of any of them? */
bool carrier_paths_are_calling(const struct carrier_paths *p);

/* carrier_pool_run for each. */
void carrier_paths_run(struct carrier_paths *p);

#endif
