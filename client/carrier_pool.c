#include "config.h"

#include "client/carrier_pool.h"

#include <assert.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "common/err.h"
#include "common/log.h"

struct carrier_pool {
	const struct carrier_pool_ops *ops;
	void *ctx;
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	unsigned transfers;
	unsigned calling;	/* depth of calls into libcurl and out of it */
};

/* A socket that libcurl wants watched. */
struct watch {
	struct carrier_pool *pool;
	uv_poll_t poll;
	curl_socket_t fd;
	int events;		/* of UV_READABLE and UV_WRITABLE */
};

/* Hand out what has finished. on_done may add transfers, but not free us. */
static void deliver_done(struct carrier_pool *p)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(p->multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		/* The message dies with the handle's removal. */
		carrier_pool_remove(p, easy);
		p->ops->on_done(p->ctx, easy, (int)code);
	}
}

/* Let libcurl act on a socket or a timeout, then tell what came of it. */
static void act(struct carrier_pool *p, curl_socket_t fd, int events)
{
	CURLMcode rc;
	int running;

	p->calling++;
	rc = curl_multi_socket_action(p->multi, fd, events, &running);
	if (rc != CURLM_OK)
		log_error("carrier failed why=\"%s\"", curl_multi_strerror(rc));
	deliver_done(p);
	p->calling--;
	p->ops->on_settled(p->ctx, p);	/* may free p: last */
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * A failed socket stops libuv's poll. CURL_CSELECT_ERR would end only one of
 * the transfers that share an HTTP/2 connection and leave the others waiting;
 * so let libcurl read, and find out for all.
 */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	int flags = 0;

	if (status < 0) {
		flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
		(void)uv_poll_start(poll, w->events, on_poll);
	}
	if ((events & UV_READABLE) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		flags |= CURL_CSELECT_OUT;
	act(w->pool, w->fd, flags);	/* may close w */
}

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch *watch_new(struct carrier_pool *p, curl_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->pool = p;
	w->fd = fd;
	w->poll.data = w;
	if (uv_poll_init_socket(p->loop, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	curl_multi_assign(p->multi, fd, w);
	return w;
}

/* libcurl says what it wants to know of a socket. */
static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
    void *assigned)
{
	struct carrier_pool *p = ctx;
	struct watch *w = assigned;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w == NULL)
			return 0;
		curl_multi_assign(p->multi, fd, NULL);
		uv_close((uv_handle_t *)&w->poll, on_watch_closed);
		return 0;
	}
	if (w == NULL)
		w = watch_new(p, fd);
	if (w == NULL)
		return -1;
	w->events = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		w->events |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		w->events |= UV_WRITABLE;
	return uv_poll_start(&w->poll, w->events, on_poll) == 0 ? 0 : -1;
}

/* libcurl says when it wants to be called; never call it from here. */
static int on_want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct carrier_pool *p = ctx;

	(void)multi;
	if (timeout_ms < 0)
		return uv_timer_stop(&p->timer) == 0 ? 0 : -1;
	return uv_timer_start(&p->timer, on_timer, (uint64_t)timeout_ms,
	    0) == 0 ? 0 : -1;
}

int carrier_pool_new(struct carrier_pool **out, uv_loop_t *loop,
    unsigned max_connections, const struct carrier_pool_ops *ops, void *ctx)
{
	struct carrier_pool *p = calloc(1, sizeof(*p));
	long connections = (long)max_connections;

	if (p == NULL)
		return ERR_NOMEM;
	p->multi = curl_multi_init();
	if (p->multi == NULL) {
		free(p);
		return ERR_NOMEM;
	}
	p->ops = ops;
	p->ctx = ctx;
	p->loop = loop;
	uv_timer_init(loop, &p->timer);
	p->timer.data = p;
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    connections);
	curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, connections);
	*out = p;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void carrier_pool_free(struct carrier_pool *p)
{
	if (p == NULL)
		return;
	assert(p->transfers == 0 && p->calling == 0);
	curl_multi_cleanup(p->multi);	/* still uses sockets and timer */
	uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

int carrier_pool_add(struct carrier_pool *p, void *easy)
{
	if (curl_multi_add_handle(p->multi, easy) != CURLM_OK)
		return ERR_NOMEM;
	p->transfers++;
	return 0;
}

void carrier_pool_remove(struct carrier_pool *p, void *easy)
{
	assert(p->transfers > 0);
	p->transfers--;
	/* Fails only for handles that are not in it, or from callbacks. */
	(void)curl_multi_remove_handle(p->multi, easy);
}

bool carrier_pool_is_calling(const struct carrier_pool *p)
{
	return p->calling > 0;
}

unsigned carrier_pool_transfers(const struct carrier_pool *p)
{
	return p->transfers;
}
