/* HTTP connections: what is known of each, and those that take too long. */
#include "config.h"

#include "server/endpoint_request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "common/log.h"
#include "common/net.h"
#include "server/endpoint_tls.h"
#include "server/hangup.h"

#define SWEEP_MS 1000u	/* how exactly time is kept */

struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* ---- what takes too long ---------------------------------------------- */

/*
 * When a connection has to go. Without a request: the first one's head is due
 * soon; a later one's may begin after all the time for which a connection may
 * be idle, since nobody tells us when its first byte arrives.
 */
static uint64_t due_ms(const struct connection *c)
{
	const struct endpoint *e = c->listener->endpoint;

	if (c->request != NULL)
		return request_due_ms(c->request);
	return c->since_ms + e->request_ms +
	    (c->used ? ENDPOINT_IDLE_S * 1000u : 0);
}

static void note_late(struct endpoint *e, const struct origin *o)
{
	char source[SOURCES_TEXT_MAX];
	unsigned suppressed;

	if (!endpoint_log_allow(e, LIMIT_TIME, &suppressed))
		return;
	log_warn("limit reached limit=request_timeout value_ms=%" PRIu64
	    " source=%s suppressed=%u", e->request_ms,
	    o->known ? sources_text(o->address, source) : "-", suppressed);
}

/*
 * libmicrohttpd closes a connection that has ended; to end it is all that can
 * be done from outside.
 */
static void cut_off(struct connection *c)
{
	note_late(c->listener->endpoint, c->request != NULL ?
	    request_origin(c->request) : &c->origin);
	(void)shutdown(c->fd, SHUT_RDWR);	/* it may be over already */
}

static void on_sweep(uv_timer_t *timer)
{
	struct endpoint *e = timer->data;
	uint64_t now_ms = net_now_ms(e->loop);
	struct connection *c;

	LIST_FOREACH(c, &e->sending, link)
		if (due_ms(c) <= now_ms)
			cut_off(c);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void start_sweep(struct endpoint *e)
{
	uv_timer_t *timer = malloc(sizeof(*timer));

	if (timer == NULL || uv_timer_init(e->loop, timer) != 0) {
		free(timer);	/* the next connection tries again */
		return;
	}
	timer->data = e;
	e->sweep = timer;
	uv_timer_start(timer, on_sweep, SWEEP_MS, SWEEP_MS);
}

static void stop_sweep(struct endpoint *e)
{
	if (e->sweep != NULL)
		uv_close((uv_handle_t *)e->sweep, on_closed);
	e->sweep = NULL;
}

/* ---- life ------------------------------------------------------------- */

static void look_at_socket(struct connection *c, struct MHD_Connection *mhd)
{
	struct endpoint *e = c->listener->endpoint;
	const union MHD_ConnectionInfo *info;
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);

	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info == NULL)
		return;
	c->fd = info->connect_fd;
	if (getsockname(c->fd, (struct sockaddr *)&sa, &sa_len) == 0) {
		c->is_tcp = sa.ss_family != AF_UNIX;
		c->is_local = c->listener->tls == NULL && (!c->is_tcp ||
		    net_is_loopback((struct sockaddr *)&sa));
	}
	/* Without, the gate's own timers end what a lost peer has left. */
	if (hangup_add(e->hangup, c->fd, c) != 0)
		log_debug("hangup unwatched fd=%d", c->fd);
	info = MHD_get_connection_info(mhd,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL && info->client_addr != NULL)
		origin_of_connection(e, info->client_addr, c);
}

struct connection *connection_new(struct shard *s,
    struct MHD_Connection *mhd)
{
	struct listener *l = s->listener;
	struct endpoint *e = l->endpoint;
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->listener = l;
	c->shard = s;
	c->fd = -1;
	c->since_ms = net_now_ms(e->loop);
	c->tls_ticket = l->tls == NULL ? NULL : endpoint_tls_use(l->tls);
	look_at_socket(c, mhd);
	LIST_INSERT_HEAD(&e->sending, c, link);
	e->connections++;
	if (e->sweep == NULL)
		start_sweep(e);
	return c;
}

void connection_free(struct connection *c)
{
	struct endpoint *e;

	if (c == NULL)
		return;
	e = c->listener->endpoint;
	origin_leave(e, &c->origin);
	if (c->tls_ticket != NULL)
		endpoint_tls_unuse(c->listener->tls, c->tls_ticket);
	if (c->gone)
		LIST_REMOVE(c, gone_link);
	if (!c->complete)
		LIST_REMOVE(c, link);
	if (--e->connections == 0)
		stop_sweep(e);
	free(c);
}

void connection_complete(struct connection *c, bool complete)
{
	if (c->complete == complete)
		return;
	c->complete = complete;
	if (complete)
		LIST_REMOVE(c, link);
	else
		LIST_INSERT_HEAD(&c->listener->endpoint->sending, c, link);
}
