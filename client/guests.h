/*
 * The Notes connections that the tunnel carries at the moment: each a local
 * TCP socket, and a stream joined to it by a pump.
 *
 * A connection whose server is to be found out by the gateway gets its stream
 * when its first bytes arrive, so that the stream's opening and the bytes
 * travel together, and one that never says anything costs the gateway
 * nothing. One for a fixed server gets it at once: there the server may be
 * the first to speak.
 */
#ifndef CLIENT_GUESTS_H
#define CLIENT_GUESTS_H

#include <stdint.h>

#include <uv.h>

#include "common/lanes.h"

struct guests;

/*
 * max: connections at once. lanes is borrowed and outlives the guests.
 * on_portion: as pump.h has it.
 */
int guests_new(struct guests **out, uv_loop_t *loop, struct lanes *lanes,
    unsigned max, void (*on_portion)(void *ctx), void *ctx);

/* Resets all connections and streams. */
void guests_free(struct guests *gs);

/*
 * Take over an accepted connection (allocated by malloc), whatever comes of
 * it: when it cannot be served it is reset, and the log says why. server NULL:
 * the gateway finds out.
 */
void guests_add(struct guests *gs, uv_tcp_t *tcp, const char *server);

/* Reset those that have no stream yet; the others end with the session. */
void guests_drop_waiting(struct guests *gs);

struct guests_info {
	const char *peer;	/* 127.0.0.1:50123 */
	const char *server;	/* NULL: auto */
	uint64_t stream;	/* UINT64_MAX: none yet */
	uint64_t bytes_in;	/* from Notes */
	uint64_t bytes_out;	/* to Notes */
};

unsigned guests_count(const struct guests *gs);
void guests_each(const struct guests *gs,
    void (*fn)(void *ctx, const struct guests_info *info), void *ctx);

#endif
