#include "config.h"

#include "server/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "server/endpoint_request.h"
#include "server/endpoint_tls.h"
#include "server/hangup.h"

/*
 * A whole record and a head: libmicrohttpd fills the pool with zeros after each
 * request of a connection, so that all of it is touched and costs time.
 */
#define POOL_BYTES ((size_t)18 * 1024)
#define ROUNDS_MAX 16	/* runs of a daemon before others have their turn */
#define NUDGE_MS 20u		/* for libmicrohttpd to close by itself */

/* ---- libmicrohttpd's callbacks ---------------------------------------- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd,
    const char *url, const char *method, const char *version,
    const char *data, size_t *data_len, void **user)
{
	struct listener *l = cls;
	struct connection *c;
	struct request *r = *user;
	bool ok;

	(void)version;
	if (r == NULL) {
		c = connection_of(mhd);
		if (c == NULL)
			return MHD_NO;
		r = request_new(l->endpoint, c, mhd, url, method);
		if (r == NULL)
			return MHD_NO;
		*user = r;
		ok = request_head(r);
	} else if (*data_len > 0) {
		ok = request_body(r, data, *data_len);
		*data_len = 0;
	} else {
		ok = request_go_on(r);
	}
	return ok ? MHD_YES : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **user,
    enum MHD_RequestTerminationCode why)
{
	(void)cls;
	(void)mhd;
	(void)why;	/* the gate learns by itself what did not arrive */
	request_free(*user);
	*user = NULL;
}

static const char *listening_on(const struct listener *l,
    char out[NET_TEXT_MAX])
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon,
	    MHD_DAEMON_INFO_LISTEN_FD);
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (info == NULL || getsockname(info->listen_fd,
	    (struct sockaddr *)&sa, &len) != 0)
		return "-";
	if (sa.ss_family == AF_UNIX)
		return "unix";
	net_text((const struct sockaddr *)&sa, out, NET_TEXT_MAX);
	return out;
}

/* libmicrohttpd accepts no more then, and says nothing. */
static void note_limit(struct listener *l)
{
	char address[NET_TEXT_MAX];
	unsigned suppressed;

	if (++l->connections < l->max_connections ||
	    !endpoint_log_allow(l->endpoint, LIMIT_CONNECTIONS, &suppressed))
		return;
	log_warn("limit reached limit=max_connections value=%u listen=%s "
	    "suppressed=%u", l->max_connections,
	    listening_on(l, address), suppressed);
}

static enum MHD_Result on_accept(void *cls, const struct sockaddr *sa,
    socklen_t len)
{
	struct listener *l = cls;

	(void)len;
	return origin_may_connect(l->endpoint, sa) ? MHD_YES : MHD_NO;
}

static void on_connection(void *cls, struct MHD_Connection *mhd,
    void **context, enum MHD_ConnectionNotificationCode what)
{
	struct listener *l = cls;
	struct connection *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		note_limit(l);
		/* Without one, its requests are turned away. */
		*context = connection_new(l, mhd);
		return;
	}
	l->connections--;
	l->ended = true;
	connection_free(c);
	*context = NULL;
}

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

/* ---- a daemon on the loop --------------------------------------------- */

static void on_timer(uv_timer_t *timer);

/*
 * Run the daemon, again while requests that we resumed have not been called
 * back (nothing else would wake it), and set its timer. Also once more after a
 * connection has ended: one that stopped accepting, for want of descriptors or
 * at its limit, only begins again with its next run.
 */
static void run_listener(struct listener *l)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	unsigned rounds = 0;

	do {
		l->ended = false;
		(void)MHD_run(l->daemon);	/* fails only if misused */
	} while ((l->resumed > 0 || l->ended) && ++rounds < ROUNDS_MAX);
	if (l->resumed > 0 || l->ended)
		uv_timer_start(&l->timer, on_timer, 0, 0);
	else if (MHD_get_timeout(l->daemon, &wait_ms) == MHD_YES)
		uv_timer_start(&l->timer, on_timer, wait_ms, 0);
	else
		uv_timer_stop(&l->timer);
}

static void on_timer(uv_timer_t *timer)
{
	run_listener(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;		/* the daemon finds out by itself */
	(void)events;
	run_listener(poll->data);
}

static struct MHD_Daemon *start_daemon(struct listener *l, int fd,
    unsigned max_connections)
{
	struct MHD_OptionItem plain[] = {
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem secure[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, endpoint_tls_callback() },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		  (void *)(uintptr_t)endpoint_tls_priorities },
		{ MHD_OPTION_END, 0, NULL },
	};

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
	    (l->tls != NULL ? MHD_USE_TLS : 0), 0, on_accept, l, on_request, l,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, max_connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES,
	    MHD_OPTION_CONNECTION_TIMEOUT, ENDPOINT_IDLE_S,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
	    MHD_OPTION_ARRAY, l->tls != NULL ? secure : plain,
	    MHD_OPTION_END);
}

/* The one of the two handles that is closed last frees. */
static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	if (--l->open_handles == 0)
		free(l);
}

int endpoint_listen(struct endpoint *e, int fd, unsigned max_connections,
    struct endpoint_tls *tls)
{
	struct listener *l = calloc(1, sizeof(*l));
	const union MHD_DaemonInfo *info;

	if (l == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	l->endpoint = e;
	l->tls = tls;
	l->max_connections = max_connections;
	l->daemon = start_daemon(l, fd, max_connections);
	if (l->daemon == NULL) {	/* which may have closed it, or not */
		free(l);
		return ERR_IO;
	}
	info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || uv_timer_init(e->loop, &l->timer) != 0 ||
	    uv_poll_init(e->loop, &l->poll, info->epoll_fd) != 0) {
		MHD_stop_daemon(l->daemon);
		free(l);
		return ERR_IO;
	}
	l->timer.data = l;
	l->poll.data = l;
	l->open_handles = 2;
	LIST_INSERT_HEAD(&e->listeners, l, link);
	return uv_poll_start(&l->poll, UV_READABLE, on_poll) == 0 ? 0 : ERR_IO;
}

static void stop_listener(struct listener *l)
{
	run_listener(l);	/* what was resumed is called back and ends */
	uv_poll_stop(&l->poll);
	MHD_stop_daemon(l->daemon);
	LIST_REMOVE(l, link);
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
	uv_close((uv_handle_t *)&l->timer, on_listener_closed);
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
	LIST_INIT(&e->connections);
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
		stop_listener(l);
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
	const struct listener *l;

	*out = (struct endpoint_stats){
		.requests = e->requests,
		.sources = sources_count(e->sources),
		.max_connections = limits[LIMIT_CONNECTIONS].asked,
		.max_strangers = limits[LIMIT_STRANGERS].asked,
		.hello_rate = limits[LIMIT_HELLO].asked,
		.hello_rate_all = limits[LIMIT_HELLO_ALL].asked,
		.request_timeout = limits[LIMIT_TIME].asked,
		.request_max = limits[LIMIT_REQUEST].asked,
	};
	LIST_FOREACH(l, &e->listeners, link)
		out->connections += l->connections;
}

void endpoint_run(struct endpoint *e)
{
	struct request *r;
	struct listener *l;

	while ((r = TAILQ_FIRST(&e->ready)) != NULL)
		request_resume(r);
	LIST_FOREACH(l, &e->listeners, link)
		if (l->resumed > 0)
			run_listener(l);
}
