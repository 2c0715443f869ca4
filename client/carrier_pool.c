#include "config.h"

#include "client/carrier_pool.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/err.h"
#include "common/log.h"

struct carrier_pool {
	const struct carrier_pool_ops *ops;
	void *ctx;
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	bool due;		/* libcurl wants to be called at once */
	bool added, resumed;	/* transfers, since it was */
	LIST_HEAD(, watch) watches;
	bool wants_changed;	/* some watch's wanted is not its watched */
	unsigned transfers;
	unsigned calling;	/* depth of calls into libcurl and out of it */
};

/*
 * A socket that libcurl wants watched, or may want watched again: it loses
 * interest in a connection with each exchange that ends, and regains it with
 * the next. A connection that has carried an exchange is therefore watched to
 * its end; stopping and starting would be five system calls for each exchange.
 * Of others, libcurl may close the socket without a word once it has lost
 * interest.
 */
struct watch {
	LIST_ENTRY(watch) link;
	struct carrier_pool *pool;
	uv_poll_t poll;
	curl_socket_t fd;
	bool proven;		/* on_close_socket will tell its end */
	bool http2;
	bool dropped;		/* libcurl has lost interest */
	int wanted, watched;	/* of UV_READABLE and UV_WRITABLE */
};

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void watch_close(struct watch *w)
{
	LIST_REMOVE(w, link);
	uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static struct watch *watch_find(struct carrier_pool *p, curl_socket_t fd)
{
	struct watch *w;

	LIST_FOREACH(w, &p->watches, link)
		if (w->fd == fd)
			return w;
	return NULL;
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
	LIST_INSERT_HEAD(&p->watches, w, link);
	return w;
}

/* An exchange has ended well. */
static void prove_connection(struct carrier_pool *p, CURL *easy)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	long version = 0;
	struct watch *w;

	if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return;
	w = watch_find(p, fd);
	if (w == NULL || w->proven)
		return;
	w->proven = true;
	w->http2 = curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION,
	    &version) == CURLE_OK && version == CURL_HTTP_VERSION_2;
}

/*
 * On HTTP/2 libcurl sends the head and the body of a request one after the
 * other. In one packet they wake the web server, and the gateway, only once.
 */
static void cork(struct carrier_pool *p, int on)
{
#ifdef TCP_CORK
	struct watch *w;

	LIST_FOREACH(w, &p->watches, link)
		if (w->http2)
			(void)setsockopt(w->fd, IPPROTO_TCP, TCP_CORK, &on,
			    sizeof(on));
#else
	(void)p;
	(void)on;
#endif
}

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
		if (code == CURLE_OK)
			prove_connection(p, easy);
		/* The message dies with the handle's removal. */
		carrier_pool_remove(p, easy);
		p->ops->on_done(p->ctx, easy, (int)code);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events);

/*
 * Watch for what libcurl has come to want, now that it has made up its mind:
 * on HTTP/2 it goes back and forth in between. A connection without an
 * exchange stays watched as it was, until something happens on it.
 */
static void apply_wants(struct carrier_pool *p)
{
	struct watch *w, *next;

	if (!p->wants_changed)
		return;
	p->wants_changed = false;
	for (w = LIST_FIRST(&p->watches); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (w->dropped && !w->proven) {
			watch_close(w);
			continue;
		}
		if (w->wanted == w->watched ||
		    (w->wanted == 0 && w->watched == UV_READABLE))
			continue;
		w->watched = w->wanted;
		/* Stops for 0; fails only where two watch one socket. */
		(void)uv_poll_start(&w->poll, w->wanted, on_poll);
	}
}

/*
 * libcurl sends one piece of a body and then waits until it may ask for the
 * next one. Let it ask now: if there is none, nothing changes for the socket.
 */
static void ask_for_more(struct carrier_pool *p)
{
	struct watch *w;
	int running;

	LIST_FOREACH(w, &p->watches, link)
		if ((w->wanted & ~w->watched & UV_WRITABLE) != 0)
			break;
	if (w != NULL)
		(void)curl_multi_socket_action(p->multi, w->fd,
		    CURL_CSELECT_OUT, &running);
}

/* Let libcurl act on a socket or a timeout, then tell what came of it. */
static void act(struct carrier_pool *p, curl_socket_t fd, int events)
{
	bool added = p->added && fd == CURL_SOCKET_TIMEOUT;
	bool resumed = p->resumed && fd == CURL_SOCKET_TIMEOUT;
	CURLMcode rc;
	int running;

	p->calling++;
	if (added)		/* new exchanges begin */
		cork(p, 1);
	rc = curl_multi_socket_action(p->multi, fd, events, &running);
	if (added)
		cork(p, 0);
	if (rc != CURLM_OK)
		log_error("carrier failed why=\"%s\"", curl_multi_strerror(rc));
	if (resumed)
		ask_for_more(p);
	if (fd == CURL_SOCKET_TIMEOUT)
		p->added = p->resumed = false;
	deliver_done(p);
	apply_wants(p);
	p->calling--;
	p->ops->on_settled(p->ctx, p);	/* may free p: last */
}

static void on_timer(uv_timer_t *timer)
{
	struct carrier_pool *p = timer->data;

	p->due = false;
	act(p, CURL_SOCKET_TIMEOUT, 0);
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
		w->watched = 0;
		w->pool->wants_changed = true;
	}
	if (w->wanted == 0) {
		/* It fires for ever; libcurl finds out when it needs it. */
		uv_poll_stop(poll);
		w->watched = 0;
		return;
	}
	if ((events & UV_READABLE) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		flags |= CURL_CSELECT_OUT;
	act(w->pool, w->fd, flags);	/* may close w */
}

/* The socket as libcurl would make it; only we want to know where it goes. */
static curl_socket_t on_need_socket(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *to)
{
	struct carrier_pool *p = ctx;

	(void)purpose;
	p->ops->on_connect(p->ctx, &to->addr);
	return socket(to->family, to->socktype, to->protocol);
}

/*
 * A new socket for a connection. It may have the number of one that was closed
 * without a word just now, and libcurl then says only what has changed.
 */
static int on_open_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct carrier_pool *p = ctx;
	struct watch *w = watch_find(p, fd);
	int wanted;

	(void)purpose;
	if (w == NULL)
		return CURL_SOCKOPT_OK;
	wanted = w->wanted;
	watch_close(w);
	w = watch_new(p, fd);
	if (w == NULL)
		return CURL_SOCKOPT_ERROR;
	w->wanted = wanted;
	p->wants_changed = true;
	return CURL_SOCKOPT_OK;
}

/* Its end: libuv has to let go of it before it is closed. */
static int on_close_socket(void *ctx, curl_socket_t fd)
{
	struct watch *w = watch_find(ctx, fd);

	if (w != NULL)
		watch_close(w);
	return close(fd);
}

/* libcurl says what it wants to know of a socket. */
static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
    void *assigned)
{
	struct carrier_pool *p = ctx;
	struct watch *w = watch_find(p, fd);

	(void)easy;
	(void)assigned;
	if (w == NULL && what == CURL_POLL_REMOVE)
		return 0;
	if (w == NULL && (w = watch_new(p, fd)) == NULL)
		return -1;
	w->dropped = what == CURL_POLL_REMOVE;
	w->wanted = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		w->wanted |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		w->wanted |= UV_WRITABLE;
	p->wants_changed = true;
	return 0;
}

/* libcurl says when it wants to be called; never call it from here. */
static int on_want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct carrier_pool *p = ctx;

	(void)multi;
	p->due = timeout_ms == 0;
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
	LIST_INIT(&p->watches);
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
	struct watch *w, *next;

	if (p == NULL)
		return;
	assert(p->transfers == 0 && p->calling == 0);
	curl_multi_cleanup(p->multi);	/* still uses sockets and timer */
	for (w = LIST_FIRST(&p->watches); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		watch_close(w);
	}
	uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

int carrier_pool_add(struct carrier_pool *p, void *easy)
{
	/* These go with the connection that it may open. */
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_need_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, p);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, p);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, p);
	if (curl_multi_add_handle(p->multi, easy) != CURLM_OK)
		return ERR_NOMEM;
	p->transfers++;
	p->added = true;
	return 0;
}

void carrier_pool_remove(struct carrier_pool *p, void *easy)
{
	assert(p->transfers > 0);
	p->transfers--;
	/* Fails only for handles that are not in it, or from callbacks. */
	(void)curl_multi_remove_handle(p->multi, easy);
	if (p->calling == 0)
		apply_wants(p);
}

void carrier_pool_resume(struct carrier_pool *p, void *easy)
{
	/* Asks for a timeout of 0. */
	(void)curl_easy_pause(easy, CURLPAUSE_CONT);
	p->resumed = true;
}

void carrier_pool_run(struct carrier_pool *p)
{
	if (!p->due)
		return;
	uv_timer_stop(&p->timer);
	on_timer(&p->timer);
}

bool carrier_pool_is_calling(const struct carrier_pool *p)
{
	return p->calling > 0;
}

unsigned carrier_pool_transfers(const struct carrier_pool *p)
{
	return p->transfers;
}

uint64_t carrier_pool_arrived_ms(const struct carrier_pool *p)
{
	uint64_t least = UINT64_MAX;
#ifdef TCP_INFO
	const struct watch *w;

	LIST_FOREACH(w, &p->watches, link) {
		struct tcp_info info;
		socklen_t len = sizeof(info);

		if (getsockopt(w->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		    info.tcpi_last_data_recv < least)
			least = info.tcpi_last_data_recv;
	}
#else
	(void)p;
#endif
	return least;
}
