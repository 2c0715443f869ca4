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

/* One listening socket. */
struct listener {
	LIST_ENTRY(listener) link;
	struct endpoint *endpoint;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;			/* of the daemon's epoll descriptor */
	uv_timer_t timer;		/* of the daemon's own timeouts */
	unsigned resumed;		/* requests not called back yet */
	unsigned open_handles;
	unsigned connections, max_connections;
	struct log_limit limit;
	struct endpoint_tls *tls;
};

/* One HTTP connection. */
struct connection {
	struct listener *listener;
	struct request *request;	/* the one under way, or NULL */
	int fd;
	bool is_tcp;
	bool gone;			/* the peer has hung up */
	void *tls_ticket;		/* see endpoint_tls.h */
};

struct endpoint {
	uv_loop_t *loop;
	struct gate *gate;
	struct hangup *hangup;
	char *path;
	size_t path_len;
	uint64_t request_max;
	struct MHD_Response *not_found;
	struct request_list held;	/* suspended */
	struct request_list ready;	/* suspended, to be resumed */
	struct MHD_Connection *current;	/* whose body is being taken in */
	LIST_HEAD(, listener) listeners;
	uint8_t scratch[64 * 1024];	/* the beginning of a response */
};

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

/* The peer has gone: nobody waits for the response any more. */
void request_hang_up(struct request *r);

/* Let the connection go on; it is suspended. */
void request_resume(struct request *r);

#endif
