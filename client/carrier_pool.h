/*
 * One set of connections: a libcurl multi handle on the libuv loop. Part of
 * the carrier, which replaces the whole set when its connections have become
 * doubtful; this is all that knows of sockets and timers.
 *
 * The transfers are libcurl easy handles, passed as void * so that libcurl's
 * types stay out of headers.
 */
#ifndef CLIENT_CARRIER_POOL_H
#define CLIENT_CARRIER_POOL_H

#include <stdbool.h>

#include <sys/socket.h>

#include <uv.h>

struct carrier_pool;

struct carrier_pool_ops {
	/* A transfer is over (a CURLcode) and no longer in the pool. */
	void (*on_done)(void *ctx, void *easy, int code);
	/*
	 * libcurl has returned and all on_done are delivered: transfers may be
	 * added and removed, and pools freed, this one too.
	 */
	void (*on_settled)(void *ctx, struct carrier_pool *p);
	/* A connection to this address is about to be opened. */
	void (*on_connect)(void *ctx, const struct sockaddr *to);
};

int carrier_pool_new(struct carrier_pool **out, uv_loop_t *loop,
    unsigned max_connections, const struct carrier_pool_ops *ops, void *ctx);

/* Closes all connections. No transfer may be left. */
void carrier_pool_free(struct carrier_pool *p);

/*
 * Not while libcurl is in a callback (see carrier_pool_is_calling of any
 * pool). add: 0 or ERR_NOMEM. remove: a transfer under way is broken off, its
 * HTTP/1.1 connection closed, its HTTP/2 stream reset.
 */
int carrier_pool_add(struct carrier_pool *p, void *easy);
void carrier_pool_remove(struct carrier_pool *p, void *easy);

/* There is more of this transfer's body, which had paused. */
void carrier_pool_resume(struct carrier_pool *p, void *easy);

/*
 * Begin now with what was added, or go on with what was resumed, and not in
 * the loop's next turn. Not while libcurl is in a callback; calls back, and so
 * may free the pool.
 */
void carrier_pool_run(struct carrier_pool *p);

/* Is libcurl, or on_done, running on behalf of this pool? */
bool carrier_pool_is_calling(const struct carrier_pool *p);

/*
 * So many milliseconds ago bytes came on one of its connections (Linux:
 * TCP_INFO, tcpi_last_data_recv), or UINT64_MAX.
 */
uint64_t carrier_pool_arrived_ms(const struct carrier_pool *p);

unsigned carrier_pool_transfers(const struct carrier_pool *p);

#endif
