#include "config.h"

#include "client/guests.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/pump.h"

#define FIRST_MAX 16384u	/* bytes that travel with the opening */
#define FIRST_WAIT_MS 120000u	/* for the first bytes of a connection */
#define LOG_BURST 20u		/* lines per LOG_PER_MS */
#define LOG_PER_MS 10000u

struct guest {
	LIST_ENTRY(guest) entry;
	struct guests *guests;
	uv_tcp_t *tcp;		/* ours while it waits, then the pump's */
	uv_timer_t *deadline;	/* while it waits, else NULL */
	struct pump *pump;	/* NULL while it waits */
	uint64_t stream;
	uint64_t first_bytes;	/* that went before the pump */
	char *server;		/* NULL: auto */
	char peer[NET_TEXT_MAX];
};

struct guests {
	uv_loop_t *loop;
	struct lanes *lanes;
	void (*on_portion)(void *ctx);
	void *ctx;
	unsigned max, count;
	bool ending;		/* guests_free: end all without a word */
	LIST_HEAD(, guest) list;
	struct log_limit limit, refused_limit;
};

static bool may_log(struct guests *gs, struct log_limit *limit)
{
	unsigned suppressed;

	if (!log_allow(limit, net_now_ms(gs->loop), LOG_BURST,
	    LOG_PER_MS, &suppressed))
		return false;
	if (suppressed > 0)
		log_info("lines suppressed count=%u", suppressed);
	return true;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void stop_deadline(struct guest *g)
{
	if (g->deadline != NULL)
		uv_close((uv_handle_t *)g->deadline, on_closed);
	g->deadline = NULL;
}

/* Forget a guest; its socket is somebody else's by now, or closing. */
static void forget(struct guest *g)
{
	stop_deadline(g);
	LIST_REMOVE(g, entry);
	g->guests->count--;
	free(g->server);
	free(g);
}

static void close_quietly(struct guest *g)
{
	uv_close((uv_handle_t *)g->tcp, on_closed);
	forget(g);
}

static void refuse(struct guest *g, const char *why)
{
	if (may_log(g->guests, &g->guests->refused_limit))
		log_warn("connection refused peer=%s why=\"%s\"", g->peer,
		    why);
	pump_close_reset(g->tcp);
	forget(g);
}

static void refuse_for_limit(struct guest *g)
{
	if (may_log(g->guests, &g->guests->refused_limit))
		log_warn("limit reached limit=max_streams value=%u peer=%s",
		    g->guests->max, g->peer);
	pump_close_reset(g->tcp);
	forget(g);
}

static const char *open_error(int rc)
{
	switch (rc) {
	case ERR_LIMIT:
		return "the gateway takes no more connections of this tunnel; "
		    "see its max_streams";
	case ERR_STATE:
		return "the tunnel is down";
	default:
		return err_text(rc);
	}
}

/* ---- with a stream ---------------------------------------------------- */

static void on_pump_done(void *ctx, struct pump *p, uint64_t code)
{
	struct guest *g = ctx;
	uint64_t in = g->first_bytes + pump_bytes_in(p);
	uint64_t out = pump_bytes_out(p);
	bool usual = code == STREAM_OK || code == STREAM_PEER_RESET ||
	    code == STREAM_SHUTDOWN;
	struct log_limit *limit = usual ? &g->guests->limit :
	    &g->guests->refused_limit;

	if (g->guests->ending || !may_log(g->guests, limit))
		;
	else if (code == STREAM_OK)
		log_info("stream closed stream=%" PRIu64 " peer=%s in=%" PRIu64
		    " out=%" PRIu64, g->stream, g->peer, in, out);
	else if (usual)
		log_info("stream reset stream=%" PRIu64 " peer=%s in=%" PRIu64
		    " out=%" PRIu64 " code=%" PRIu64 " why=\"%s\"", g->stream,
		    g->peer, in, out, code, stream_code_text(code));
	else
		log_warn("stream reset stream=%" PRIu64 " peer=%s in=%" PRIu64
		    " out=%" PRIu64 " code=%" PRIu64 " why=\"%s\"", g->stream,
		    g->peer, in, out, code, stream_code_text(code));
	forget(g);
}

static void on_portion(void *ctx)
{
	const struct guest *g = ctx;

	g->guests->on_portion(g->guests->ctx);
}

static const struct pump_ops pump_ops = {
	.on_done = on_pump_done,
	.on_portion = on_portion
};

/* Join socket and stream; either both live on or neither. */
static void join(struct guest *g, struct stream *st)
{
	int rc;

	g->stream = stream_id(st);
	stop_deadline(g);
	if (may_log(g->guests, &g->guests->limit))
		log_info("stream open stream=%" PRIu64 " peer=%s server=%s",
		    g->stream, g->peer,
		    g->server != NULL ? g->server : "auto");
	rc = pump_new(&g->pump, g->tcp, st, &pump_ops, g);
	if (rc == 0)
		return;
	stream_reset(st, STREAM_INTERNAL);
	refuse(g, err_text(rc));
}

/* ---- waiting for the first bytes -------------------------------------- */

/*
 * There are bytes: open the stream, and put into it what has arrived. They
 * are looked at before they are taken, since the stream may not have room for
 * all of them; the pump takes the rest.
 */
static void begin(struct guest *g)
{
	uint8_t first[FIRST_MAX];
	struct stream *st;
	uv_os_fd_t fd;
	ssize_t n;
	size_t room;
	int rc;

	if (uv_fileno((uv_handle_t *)g->tcp, &fd) != 0) {
		refuse(g, "the socket is gone");
		return;
	}
	n = recv(fd, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_quietly(g);
		return;
	}
	uv_read_stop((uv_stream_t *)g->tcp);
	rc = lanes_open(g->guests->lanes, NULL, &st);
	if (rc != 0) {
		refuse(g, open_error(rc));
		return;
	}
	room = stream_room(st);
	if ((size_t)n < room)
		room = (size_t)n;
	room = stream_write(st, first, room);
	/* Cannot fall short: the same bytes have just been seen. */
	(void)recv(fd, first, room, MSG_DONTWAIT);
	g->first_bytes = room;
	join(g, st);
}

/*
 * No buffer: libuv then only says that something can be read, and leaves it
 * where it is.
 */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct guest *g = stream->data;

	(void)buf;
	if (n == UV_ENOBUFS)
		begin(g);
	else if (n < 0)
		close_quietly(g);
}

static void on_deadline(uv_timer_t *timer)
{
	close_quietly(timer->data);
}

static void wait_for_bytes(struct guest *g)
{
	g->deadline = malloc(sizeof(*g->deadline));
	if (g->deadline == NULL) {
		refuse(g, err_text(ERR_NOMEM));
		return;
	}
	uv_timer_init(g->guests->loop, g->deadline);
	g->deadline->data = g;
	uv_timer_start(g->deadline, on_deadline, FIRST_WAIT_MS, 0);
	g->tcp->data = g;
	if (uv_read_start((uv_stream_t *)g->tcp, on_alloc, on_read) != 0)
		close_quietly(g);
}

/* ---- all of them ------------------------------------------------------ */

int guests_new(struct guests **out, uv_loop_t *loop, struct lanes *lanes,
    unsigned max, void (*on_all)(void *ctx), void *ctx)
{
	struct guests *gs = calloc(1, sizeof(*gs));

	if (gs == NULL)
		return ERR_NOMEM;
	gs->loop = loop;
	gs->lanes = lanes;
	gs->max = max;
	gs->on_portion = on_all;
	gs->ctx = ctx;
	LIST_INIT(&gs->list);
	*out = gs;
	return 0;
}

void guests_free(struct guests *gs)
{
	struct guest *g;

	if (gs == NULL)
		return;
	gs->ending = true;
	guests_drop_waiting(gs);
	/* on_pump_done takes each from the list. */
	while ((g = LIST_FIRST(&gs->list)) != NULL)
		pump_abort(g->pump, STREAM_SHUTDOWN);
	free(gs);
}

static void read_peer(const uv_tcp_t *tcp, char out[NET_TEXT_MAX])
{
	struct sockaddr_storage addr = { 0 };
	int len = sizeof(addr);

	if (uv_tcp_getpeername(tcp, (struct sockaddr *)&addr, &len) == 0)
		net_text((const struct sockaddr *)&addr, out, NET_TEXT_MAX);
	else
		memcpy(out, "gone", 5);
}

void guests_add(struct guests *gs, uv_tcp_t *tcp, const char *server)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct stream *st;
	int rc;

	if (g == NULL || (server != NULL &&
	    (g->server = strdup(server)) == NULL)) {
		free(g);
		pump_close_reset(tcp);
		return;
	}
	g->guests = gs;
	g->tcp = tcp;
	g->stream = UINT64_MAX;
	read_peer(tcp, g->peer);
	LIST_INSERT_HEAD(&gs->list, g, entry);
	if (++gs->count > gs->max) {
		refuse_for_limit(g);
		return;
	}
	if (server == NULL) {
		wait_for_bytes(g);
		return;
	}
	rc = lanes_open(gs->lanes, server, &st);
	if (rc != 0)
		refuse(g, open_error(rc));
	else
		join(g, st);
}

void guests_drop_waiting(struct guests *gs)
{
	struct guest *g, *next;

	for (g = LIST_FIRST(&gs->list); g != NULL; g = next) {
		next = LIST_NEXT(g, entry);
		if (g->pump != NULL)
			continue;
		pump_close_reset(g->tcp);
		forget(g);
	}
}

unsigned guests_count(const struct guests *gs)
{
	return gs->count;
}

void guests_each(const struct guests *gs,
    void (*fn)(void *ctx, const struct guests_info *info), void *ctx)
{
	const struct guest *g;

	LIST_FOREACH(g, &gs->list, entry) {
		const struct guests_info info = {
			.peer = g->peer,
			.server = g->server,
			.stream = g->stream,
			.bytes_in = g->first_bytes + (g->pump != NULL ?
			    pump_bytes_in(g->pump) : 0),
			.bytes_out = g->pump != NULL ?
			    pump_bytes_out(g->pump) : 0
		};

		fn(ctx, &info);
	}
}
