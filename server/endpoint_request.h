/*
 * One HTTP request and its response, between libmicrohttpd's callbacks and an
 * exchange of the gate. endpoint.c's other half, and known only to it.
 *
 * A request is held by suspending its connection. In external-epoll mode
 * nothing wakes up when it is resumed: the daemon has to be run until every
 * resumed request has been called back, which is what `resumed` counts.
 */
#ifndef SERVER_ENDPOINT_REQUEST_H
#define SERVER_ENDPOINT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uv.h>

#include "common/log.h"
#include "server/endpoint.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;
struct hangup;
struct request;

TAILQ_HEAD(request_list, request);

/* The limits that have a log line, one each for a burst. */
enum endpoint_limit {
	LIMIT_CONNECTIONS, LIMIT_STRANGERS, LIMIT_HELLO, LIMIT_HELLO_ALL,
	LIMIT_TIME, LIMIT_REQUEST, LIMIT_NO_SOURCE, ENDPOINT_LIMITS
};

/* One listening socket. */
struct listener {
	LIST_ENTRY(listener) link;
	struct endpoint *endpoint;
	int fd;				/* -1: it is the caller's again */
	uv_poll_t poll;
	uv_timer_t retry;		/* when accepting has failed */
	unsigned open_handles;
	unsigned connections, max_connections;
	struct endpoint_tls *tls;
	LIST_HEAD(, shard) shards;
};

/*
 * Some of its connections. libmicrohttpd looks at all suspended connections of
 * a daemon whenever one is resumed, so none of them has many.
 */
struct shard {
	LIST_ENTRY(shard) link;
	LIST_ENTRY(shard) resumed_link;	/* while there are any */
	struct listener *listener;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;			/* of the daemon's epoll descriptor */
	uv_timer_t timer;		/* of the daemon's own timeouts */
	unsigned resumed;		/* requests not called back yet */
	unsigned open_handles;
	unsigned connections;
};

/*
 * Who sends a request, or has opened a connection: the address is good where
 * `known`, and `place` is what is taken up there as a stranger.
 */
struct origin {
	bool known;
	uint8_t address[16];		/* reduced to a source's */
	struct source *place;
};

/* One HTTP connection. */
struct connection {
	LIST_ENTRY(connection) link;	/* unless `complete` */
	LIST_ENTRY(connection) gone_link;	/* the peer has hung up */
	struct listener *listener;
	struct shard *shard;
	struct request *request;	/* the one under way, or NULL */
	struct origin origin;		/* not of a trusted proxy's */
	bool by_proxy;			/* each request has its own origin */
	bool used;			/* there was a request before */
	bool complete;			/* all of a request is here */
	uint64_t since_ms;		/* it waits for a request */
	int fd;
	bool is_tcp;
	bool is_local;			/* the peer is on this machine, no TLS */
	bool gone;			/* the peer has hung up */
	void *tls_ticket;		/* see endpoint_tls.h */
};

struct endpoint {
	uv_loop_t *loop;
	struct gate *gate;
	struct hangup *hangup;
	struct sources *sources;
	struct sources_limits limits;
	const struct networks *proxies;
	uint64_t request_ms;
	unsigned connections;
	uv_timer_t *sweep;		/* while there are any */
	struct log_limit limit_logs[ENDPOINT_LIMITS];
	char *path;
	size_t path_len;
	uint64_t request_max;
	struct MHD_Response *not_found;
	struct request_list held;	/* suspended */
	struct request_list ready;	/* suspended, to be resumed */
	struct request *current;	/* whose body is being taken in */
	unsigned requests;		/* under way */
	bool closing;			/* see endpoint_quiesce */
	LIST_HEAD(, listener) listeners;
	LIST_HEAD(, shard) resumed;	/* those with requests resumed */
	LIST_HEAD(, connection) sending; /* whose peers are to send something */
	LIST_HEAD(, connection) gone;	/* to be closed by libmicrohttpd */
	uv_timer_t nudge;		/* ... which is reminded of them */
	uint8_t scratch[64 * 1024];	/* the beginning of a response */
};

/* ---- endpoint_source.c ------------------------------------------------ */

/* True once in a while, with the number of times that it was false. */
bool endpoint_log_allow(struct endpoint *e, enum endpoint_limit limit,
    unsigned *suppressed);

/*
 * Where a new connection comes from. False: there are too many strangers of
 * that source already.
 */
bool origin_may_connect(struct endpoint *e, const struct sockaddr *sa);
void origin_of_connection(struct endpoint *e, const struct sockaddr *sa,
    struct connection *c);

/* Where a request that a proxy has passed on comes from. False: as above. */
bool origin_of_request(struct endpoint *e, struct MHD_Connection *mhd,
    struct origin *o);

/* It is known now, or has gone. */
void origin_leave(struct endpoint *e, struct origin *o);

/* ---- endpoint_shard.c ------------------------------------------------- */

/* The one that the next connection of the listener is for. NULL: none. */
struct shard *shard_for_next(struct listener *l);

/* Run its daemon, as something is there for it to do. */
void shard_run(struct shard *s);

/* All of a listener's: their connections are closed. */
void shard_stop_all(struct listener *l);

/* ---- endpoint_listen.c ------------------------------------------------ */

/* A connection of the listener has ended: there is room for another one. */
void listener_go_on(struct listener *l);
void listener_stop(struct listener *l);

/* ---- endpoint_connection.c -------------------------------------------- */

/* One was accepted, or is over. The first is NULL without memory. */
struct connection *connection_new(struct shard *s,
    struct MHD_Connection *mhd);
void connection_free(struct connection *c);

/* All of its request has arrived; or the response is given, and it is over. */
void connection_complete(struct connection *c, bool complete);

/* Of a request's. */
struct connection *connection_of(struct MHD_Connection *mhd);

/* ---- endpoint_request.c ----------------------------------------------- */

/* The one 404, made once. NULL without memory. */
struct MHD_Response *request_not_found(void);

/* A request's head has arrived. NULL without memory. */
struct request *request_new(struct endpoint *e, struct connection *c,
    struct MHD_Connection *mhd, const char *url, const char *method);
void request_free(struct request *r);

/*
 * A piece of the body, or (len 0) all of it has arrived, or the request was
 * resumed. False: close the connection.
 */
bool request_head(struct request *r);
bool request_body(struct request *r, const void *data, size_t len);
bool request_go_on(struct request *r);

/* When all of it should have arrived by; for one that has not. */
uint64_t request_due_ms(const struct request *r);

const struct origin *request_origin(const struct request *r);
struct MHD_Connection *request_mhd(const struct request *r);

/* The peer has gone: nobody waits for the response any more. */
void request_hang_up(struct request *r);

/* Let the connection go on; it is suspended. */
void request_resume(struct request *r);

#endif
