/*
 * The gateway's HTTP side: libmicrohttpd on the libuv loop, one daemon per
 * listening socket. Every request to PATH/<session> becomes an exchange of the
 * gate; whatever is no such request, and whatever the gate refuses, gets the
 * one 404 after its body has been read, so that no answer tells one kind from
 * another. Knows neither sessions nor devices.
 *
 * A request is a stranger's until the gate knows which device sent it. Those
 * are limited for each source (sources.h): the address of the connection, or,
 * where that is a trusted proxy's, the last one in its X-Forwarded-For. What
 * does not arrive in time is cut off.
 */
#ifndef SERVER_ENDPOINT_H
#define SERVER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "common/gate.h"
#include "server/networks.h"
#include "server/sources.h"

#define ENDPOINT_IDLE_S 120u	/* longer than any proxy keeps an idle one */
#define ENDPOINT_SHARD 32u	/* connections with a descriptor in common */
#define ENDPOINT_PEER_MAX 128u	/* bytes of endpoint_peer's text, with NUL */

struct endpoint;
struct endpoint_tls;

struct endpoint_limits {
	const char *path;		/* copied; "" for the root */
	uint64_t request_max;		/* bytes of one request; of a known
					   device gate_exchange_max */
	uint64_t request_ms;		/* for a head; for a body also 1 ms
					   for each byte that has come */
	struct sources_limits sources;
	const struct networks *proxies;	/* trusted; borrowed. Unix sockets
					   always are */
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

/*
 * Before an upgrade: accept no more, and close each connection after the
 * request that is under way. The listening sockets are the caller's again; new
 * connections wait there. endpoint_is_idle: no request is left, and none is
 * about to begin. To go on, make another endpoint.
 */
void endpoint_quiesce(struct endpoint *e);
bool endpoint_is_idle(const struct endpoint *e);

/* For the requests to come. 0 or ERR_NOMEM. */
int endpoint_reconfigure(struct endpoint *e,
    const struct endpoint_limits *limits);

/*
 * Go on with exchanges whose state has changed. To be called after gate_run.
 */
void endpoint_run(struct endpoint *e);

struct endpoint_stats {
	/* Now: */
	unsigned connections, requests;
	size_t sources;			/* remembered */
	/* How often each limit was reached since endpoint_new: */
	uint64_t max_connections, max_strangers, hello_rate, hello_rate_all,
	    request_timeout, request_max;
};
void endpoint_get_stats(const struct endpoint *e, struct endpoint_stats *out);

/*
 * Where the request that is being taken in comes from: the X-Forwarded-For of
 * a trusted proxy, else the address of the connection; "-" outside of a
 * request. Fit for a log line.
 */
const char *endpoint_peer(const struct endpoint *e,
    char out[ENDPOINT_PEER_MAX]);

/*
 * May the request that is being taken in say a hello? For gate_ops.may_hello.
 * Where not, it is logged here.
 */
bool endpoint_may_hello(struct endpoint *e);

#endif
