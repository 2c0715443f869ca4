#include "config.h"

#include "server/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "common/err.h"
#include "server/endpoint_request.h"
#include "server/hangup.h"

#define NUDGE_MS 20u		/* for libmicrohttpd to close by itself */

/* ---- peers that hang up ----------------------------------------------- */

/*
 * libmicrohttpd watches for changes and takes a short read for the last one:
 * an end that has come together with bytes escapes it, and the connection would
 * stay for ENDPOINT_IDLE_S. What has ended already is ended once more, which
 * is a change; and again, should that one come together with bytes as well.
 */
static void on_nudge(uv_timer_t *timer)
{
	struct endpoint *e = timer->data;
	struct connection *c;

	LIST_FOREACH(c, &e->gone, gone_link)
		(void)shutdown(c->fd, SHUT_RD);	/* fails after a reset */
	if (!LIST_EMPTY(&e->gone))
		uv_timer_start(&e->nudge, on_nudge, NUDGE_MS, 0);
}

static void on_hangup(void *user)
{
	struct connection *c = user;
	struct endpoint *e = c->listener->endpoint;

	c->gone = true;
	LIST_INSERT_HEAD(&e->gone, c, gone_link);
	if (!uv_is_active((uv_handle_t *)&e->nudge))
		uv_timer_start(&e->nudge, on_nudge, NUDGE_MS, 0);
	if (c->request != NULL)
		request_hang_up(c->request);
}

/* ---- the endpoint ----------------------------------------------------- */

int endpoint_new(struct endpoint **out, uv_loop_t *loop, struct gate *gate,
    const struct endpoint_limits *limits)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	int rc;

	if (e == NULL)
		return ERR_NOMEM;
	e->loop = loop;
	e->gate = gate;
	TAILQ_INIT(&e->held);
	TAILQ_INIT(&e->ready);
	LIST_INIT(&e->listeners);
	LIST_INIT(&e->resumed);
	LIST_INIT(&e->sending);
	LIST_INIT(&e->gone);
	uv_timer_init(loop, &e->nudge);
	e->nudge.data = e;
	rc = sources_new(&e->sources, &limits->sources);
	if (rc == 0)
		rc = endpoint_reconfigure(e, limits);
	if (rc == 0) {
		e->not_found = request_not_found();
		rc = e->not_found == NULL ? ERR_NOMEM : 0;
	}
	if (rc == 0)
		rc = hangup_new(&e->hangup, loop, on_hangup);
	if (rc != 0) {
		endpoint_free(e);
		return rc;
	}
	*out = e;
	return 0;
}

/* libmicrohttpd will not stop while connections are suspended. */
static void release_held(struct endpoint *e)
{
	struct request *r;

	while ((r = TAILQ_FIRST(&e->held)) != NULL)
		request_hang_up(r);
	while ((r = TAILQ_FIRST(&e->ready)) != NULL)
		request_resume(r);
}

static void on_nudge_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void endpoint_free(struct endpoint *e)
{
	struct listener *l;

	if (e == NULL)
		return;
	release_held(e);
	while ((l = LIST_FIRST(&e->listeners)) != NULL)
		listener_stop(l);
	hangup_free(e->hangup);
	if (e->not_found != NULL)
		MHD_destroy_response(e->not_found);
	sources_free(e->sources);
	free(e->path);
	uv_close((uv_handle_t *)&e->nudge, on_nudge_closed);
}

int endpoint_reconfigure(struct endpoint *e,
    const struct endpoint_limits *limits)
{
	char *path = strdup(limits->path);

	e->request_max = limits->request_max;
	e->request_ms = limits->request_ms;
	e->proxies = limits->proxies;
	e->limits = limits->sources;
	sources_reconfigure(e->sources, &limits->sources);
	if (path == NULL)
		return ERR_NOMEM;
	free(e->path);
	e->path = path;
	e->path_len = strlen(path);
	return 0;
}

void endpoint_get_stats(const struct endpoint *e, struct endpoint_stats *out)
{
	const struct log_limit *limits = e->limit_logs;

	*out = (struct endpoint_stats){
		.connections = e->connections,
		.requests = e->requests,
		.sources = sources_count(e->sources),
		.max_connections = limits[LIMIT_CONNECTIONS].asked,
		.max_strangers = limits[LIMIT_STRANGERS].asked,
		.hello_rate = limits[LIMIT_HELLO].asked,
		.hello_rate_all = limits[LIMIT_HELLO_ALL].asked,
		.request_timeout = limits[LIMIT_TIME].asked,
		.request_max = limits[LIMIT_REQUEST].asked,
	};
}

void endpoint_run(struct endpoint *e)
{
	struct request *r;
	struct shard *s, *next;

	while ((r = TAILQ_FIRST(&e->ready)) != NULL)
		request_resume(r);
	for (s = LIST_FIRST(&e->resumed); s != NULL; s = next) {
		next = LIST_NEXT(s, resumed_link);	/* it may leave */
		shard_run(s);
	}
}
