/* Listening sockets: who may come in, and to which daemon. */
#include "config.h"

#include "server/endpoint_request.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/net.h"

#define BATCH 16	/* accepted before others have their turn */
#define RETRY_MS 100u	/* without descriptors or memory */

static const char *listening_on(const struct listener *l,
    char out[NET_TEXT_MAX])
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(l->fd, (struct sockaddr *)&sa, &len) != 0)
		return "-";
	if (sa.ss_family == AF_UNIX)
		return "unix";
	net_text((const struct sockaddr *)&sa, out, NET_TEXT_MAX);
	return out;
}

/* No more are accepted then. */
static void note_limit(struct listener *l)
{
	char address[NET_TEXT_MAX];
	unsigned suppressed;

	if (!endpoint_log_allow(l->endpoint, LIMIT_CONNECTIONS, &suppressed))
		return;
	log_warn("limit reached limit=max_connections value=%u listen=%s "
	    "suppressed=%u", l->max_connections,
	    listening_on(l, address), suppressed);
}

/* A new connection; libmicrohttpd owns the descriptor, also on failure. */
static void take_in(struct listener *l, int fd,
    const struct sockaddr_storage *sa, socklen_t len)
{
	struct shard *s;

	if (!origin_may_connect(l->endpoint, (const struct sockaddr *)sa)) {
		close(fd);
		return;
	}
	s = shard_for_next(l);
	if (s == NULL) {
		close(fd);
		return;
	}
	(void)MHD_add_connection(s->daemon, fd, (const struct sockaddr *)sa,
	    len);
	shard_run(s);
}

static void on_retry(uv_timer_t *timer)
{
	listener_go_on(timer->data);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	(void)status;
	(void)events;
	for (int i = 0; i < BATCH && l->connections < l->max_connections;
	    i++) {
		len = sizeof(sa);
		sa.ss_family = AF_UNIX;	/* where there is no name */
		fd = accept4(l->fd, (struct sockaddr *)&sa, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_in(l, fd, &sa, len);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			uv_poll_stop(&l->poll);
			uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
		}
		return;		/* none is left, or it has gone */
	}
	if (l->connections < l->max_connections)
		return;
	note_limit(l);
	uv_poll_stop(&l->poll);
}

void listener_go_on(struct listener *l)
{
	if (l->fd >= 0 && l->connections < l->max_connections &&
	    !uv_is_closing((uv_handle_t *)&l->poll))
		(void)uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
}

/* The one of the two handles that is closed last frees. */
static void on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	if (--l->open_handles == 0)
		free(l);
}

int endpoint_listen(struct endpoint *e, int fd, unsigned max_connections,
    struct endpoint_tls *tls)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	l->endpoint = e;
	l->tls = tls;
	l->max_connections = max_connections;
	LIST_INIT(&l->shards);
	if (uv_timer_init(e->loop, &l->retry) != 0 ||
	    uv_poll_init(e->loop, &l->poll, fd) != 0) {
		close(fd);
		free(l);
		return ERR_IO;
	}
	l->fd = fd;
	l->poll.data = l;
	l->retry.data = l;
	l->open_handles = 2;
	LIST_INSERT_HEAD(&e->listeners, l, link);
	/* The first daemon is there from the start, or nothing is. */
	return shard_for_next(l) != NULL && uv_poll_start(&l->poll,
	    UV_READABLE, on_acceptable) == 0 ? 0 : ERR_IO;
}

void listener_stop(struct listener *l)
{
	uv_poll_stop(&l->poll);
	uv_close((uv_handle_t *)&l->poll, on_closed);
	uv_close((uv_handle_t *)&l->retry, on_closed);
	shard_stop_all(l);
	if (l->fd >= 0)
		close(l->fd);
	LIST_REMOVE(l, link);
}
