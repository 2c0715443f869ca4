/* libmicrohttpd's daemons on the loop, and what they call. */
#include "config.h"

#include "server/endpoint_request.h"

#include <stdlib.h>

#include <microhttpd.h>

#include "server/endpoint_tls.h"

/*
 * libmicrohttpd's memory for a connection, at least a whole record and a head:
 * after each request it fills all of it with zeros. Pools of more than 32 KiB
 * are mapped, and cost the pages that were touched, two for a request that is
 * held on a new connection; with TLS, where connections stay, the least is best.
 */
#define POOL_BYTES ((size_t)36 * 1024)
#define POOL_BYTES_TLS ((size_t)18 * 1024)
#define ROUNDS_MAX 16	/* runs of a daemon before others have their turn */
#define SHARDS_MAX 1024u
#define SPARE_MS 1000u	/* for which one stays that has no connections */

/* ---- libmicrohttpd's callbacks ---------------------------------------- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd,
    const char *url, const char *method, const char *version,
    const char *data, size_t *data_len, void **user)
{
	struct shard *s = cls;
	struct connection *c;
	struct request *r = *user;
	bool ok;

	(void)version;
	if (r == NULL) {
		c = connection_of(mhd);
		if (c == NULL)
			return MHD_NO;
		r = request_new(s->listener->endpoint, c, mhd, url, method);
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

static void on_connection(void *cls, struct MHD_Connection *mhd,
    void **context, enum MHD_ConnectionNotificationCode what)
{
	struct shard *s = cls;
	struct connection *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		s->connections++;
		s->listener->connections++;
		/* Without one, its requests are turned away. */
		*context = connection_new(s, mhd);
		return;
	}
	s->connections--;
	s->listener->connections--;
	connection_free(c);
	*context = NULL;
	listener_go_on(s->listener);
}

/* ---- a daemon on the loop --------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
	shard_run(timer->data);
}

/* The one of the two handles that is closed last frees. */
static void on_closed(uv_handle_t *handle)
{
	struct shard *s = handle->data;

	if (--s->open_handles == 0)
		free(s);
}

static void stop(struct shard *s)
{
	shard_run(s);	/* what was resumed is called back and ends */
	uv_poll_stop(&s->poll);
	MHD_stop_daemon(s->daemon);
	LIST_REMOVE(s, link);
	uv_close((uv_handle_t *)&s->poll, on_closed);
	uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void on_spare(uv_timer_t *timer)
{
	struct shard *s = timer->data;

	if (LIST_NEXT(LIST_FIRST(&s->listener->shards), link) != NULL)
		stop(s);	/* not the last one */
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;		/* the daemon finds out by itself */
	(void)events;
	shard_run(poll->data);
}

/*
 * Again while requests that we resumed have not been called back, as nothing
 * else would wake it; then its timer.
 */
void shard_run(struct shard *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	unsigned rounds = 0;

	do
		(void)MHD_run(s->daemon);	/* fails only if misused */
	while (s->resumed > 0 && ++rounds < ROUNDS_MAX);
	if (s->resumed > 0)
		uv_timer_start(&s->timer, on_timer, 0, 0);
	else if (MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES)
		uv_timer_start(&s->timer, on_timer, wait_ms, 0);
	else if (s->connections == 0)
		uv_timer_start(&s->timer, on_spare, SPARE_MS, 0);
	else
		uv_timer_stop(&s->timer);
}

static struct MHD_Daemon *start_daemon(struct shard *s)
{
	const struct listener *l = s->listener;
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
	    MHD_USE_NO_LISTEN_SOCKET | (l->tls != NULL ? MHD_USE_TLS : 0), 0,
	    NULL, NULL, on_request, s,
	    MHD_OPTION_CONNECTION_LIMIT, l->max_connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    l->tls != NULL ? POOL_BYTES_TLS : POOL_BYTES,
	    MHD_OPTION_CONNECTION_TIMEOUT, ENDPOINT_IDLE_S,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
	    MHD_OPTION_ARRAY, l->tls != NULL ? secure : plain,
	    MHD_OPTION_END);
}

static struct shard *shard_new(struct listener *l)
{
	struct shard *s = calloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;
	uv_loop_t *loop = l->endpoint->loop;

	if (s == NULL)
		return NULL;
	s->listener = l;
	s->daemon = start_daemon(s);
	if (s->daemon == NULL) {
		free(s);
		return NULL;
	}
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || uv_timer_init(loop, &s->timer) != 0 ||
	    uv_poll_init(loop, &s->poll, info->epoll_fd) != 0) {
		MHD_stop_daemon(s->daemon);
		free(s);
		return NULL;
	}
	s->timer.data = s;
	s->poll.data = s;
	s->open_handles = 2;
	LIST_INSERT_HEAD(&l->shards, s, link);
	(void)uv_poll_start(&s->poll, UV_READABLE, on_poll); /* as good as new */
	return s;
}

struct shard *shard_for_next(struct listener *l)
{
	struct shard *s, *best = NULL, *more;
	unsigned count = 0;

	LIST_FOREACH(s, &l->shards, link) {
		if (s->connections < ENDPOINT_SHARD)
			return s;
		count++;
		if (best == NULL || s->connections < best->connections)
			best = s;
	}
	if (count == SHARDS_MAX)
		return best;
	more = shard_new(l);
	return more != NULL ? more : best;
}

void shard_stop_all(struct listener *l)
{
	struct shard *s;

	while ((s = LIST_FIRST(&l->shards)) != NULL)
		stop(s);
}
