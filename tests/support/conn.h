/*
 * One TCP connection of a proxy, at either end: bytes out of a bounded queue,
 * bytes in when wanted, and an end by FIN or by RST. Knows nothing of HTTP.
 */
#ifndef TESTS_SUPPORT_CONN_H
#define TESTS_SUPPORT_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

struct conn;

/* None is called after conn_close or conn_finish; each may call those. */
struct conn_ops {
	void (*on_data)(void *user, const uint8_t *data, size_t len);
	void (*on_end)(void *user, bool failed);	/* FIN, or an error */
	void (*on_drained)(void *user);		/* the queue is empty again */
};

/* Reading from the beginning. NULL when there is none to be accepted. */
struct conn *conn_accept(uv_stream_t *listener, const struct conn_ops *ops,
    void *user);

/*
 * A connection that is being opened, from this address (any port) if it is not
 * NULL; it can be sent on at once. NULL when even that fails.
 */
struct conn *conn_connect(uv_loop_t *loop, const struct sockaddr *to,
    const struct sockaddr *from, const struct conn_ops *ops, void *user);

/* The bytes are copied. */
void conn_send(struct conn *c, const void *data, size_t len);

/* Bytes that wait for the peer. */
size_t conn_queued(const struct conn *c);

void conn_read(struct conn *c, bool on);

/* The end, now: what is still queued is lost. NULL does nothing. */
void conn_close(struct conn *c, bool reset);

/*
 * The end, behind what is queued. What still comes is thrown away until the
 * peer ends as well, for closing earlier would reset; with a deadline.
 */
void conn_finish(struct conn *c);

#endif
