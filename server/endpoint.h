/*
 * The gateway's HTTP side: libmicrohttpd on the libuv loop, one daemon per
 * listening socket. Every request to PATH/<session> becomes an exchange of the
 * gate; whatever is no such request, and whatever the gate refuses, gets the
 * one 404 after its body has been read, so that no answer tells one kind from
 * another. Knows neither sessions nor devices.
 */
#ifndef SERVER_ENDPOINT_H
#define SERVER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "common/gate.h"

#define ENDPOINT_IDLE_S 120u	/* longer than any proxy keeps an idle one */
#define ENDPOINT_PEER_MAX 128u	/* bytes of endpoint_peer's text, with NUL */

struct endpoint;
struct endpoint_tls;

struct endpoint_limits {
	const char *path;		/* copied; "" for the root */
	uint64_t request_max;		/* bytes of one request */
};

/* The gate is borrowed. 0, ERR_NOMEM or ERR_IO. */
int endpoint_new(struct endpoint **out, uv_loop_t *loop, struct gate *gate,
    const struct endpoint_limits *limits);

/*
 * Close all connections, held ones too, and the listening sockets. All gate
 * exchanges are freed before it returns.
 */
void endpoint_free(struct endpoint *e);

/*
 * Accept on a listening socket, which is the endpoint's afterwards, also on
 * failure; at most max_connections at once. With tls (borrowed) HTTPS, else
 * HTTP. 0, ERR_NOMEM or ERR_IO.
 */
int endpoint_listen(struct endpoint *e, int fd, unsigned max_connections,
    struct endpoint_tls *tls);

/* For the requests to come. 0 or ERR_NOMEM. */
int endpoint_reconfigure(struct endpoint *e,
    const struct endpoint_limits *limits);

/*
 * Go on with exchanges whose state has changed. To be called after gate_run.
 */
void endpoint_run(struct endpoint *e);

/*
 * Where the request that is being taken in comes from: X-Forwarded-For if
 * there is one, else the address of the connection; "-" outside of a request.
 * Fit for a log line, believable for nothing else.
 */
const char *endpoint_peer(const struct endpoint *e,
    char out[ENDPOINT_PEER_MAX]);

#endif
