#include "config.h"

#include "tests/support/conn.h"

#include <stdlib.h>
#include <string.h>

#define FINISH_MS 2000u		/* for a peer to take the rest, and close */
#define PIECE 65536u		/* read at once */

struct conn {
	uv_tcp_t tcp;
	uv_timer_t deadline;
	uv_connect_t connect;
	uv_shutdown_t shutdown;
	const struct conn_ops *ops;
	void *user;
	unsigned handles;	/* that are not closed yet */
	bool connecting, wanted, told, leaving, closing;
};

struct parcel {
	uv_write_t req;
	uint8_t data[];
};

static uint8_t piece[PIECE];	/* of one read: used up before the next */

static void on_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	if (--c->handles == 0)
		free(c);
}

void conn_close(struct conn *c, bool reset)
{
	if (c == NULL || c->closing)
		return;
	c->closing = c->leaving = true;
	uv_close((uv_handle_t *)&c->deadline, on_closed);
	if (!reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0)
		uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void tell_end(struct conn *c, bool failed)
{
	if (c->leaving || c->told)
		return;
	(void)uv_read_stop((uv_stream_t *)&c->tcp);
	c->told = true;
	c->ops->on_end(c->user, failed);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	(void)handle;
	(void)size;
	*buf = uv_buf_init((char *)piece, sizeof(piece));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;

	if (c->leaving && n < 0)
		conn_close(c, false);
	if (c->leaving)
		return;
	if (n > 0)
		c->ops->on_data(c->user, (const uint8_t *)buf->base,
		    (size_t)n);
	else if (n < 0)
		tell_end(c, n != UV_EOF);
}

void conn_read(struct conn *c, bool on)
{
	if (c->leaving || c->told || c->wanted == on)
		return;
	c->wanted = on;
	if (c->connecting)
		return;
	if (on)
		(void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	else
		(void)uv_read_stop((uv_stream_t *)&c->tcp);
}

static struct conn *new_conn(uv_loop_t *loop, const struct conn_ops *ops,
    void *user)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	uv_tcp_init(loop, &c->tcp);
	uv_timer_init(loop, &c->deadline);
	c->tcp.data = c->deadline.data = c->connect.data = c;
	c->shutdown.data = c;
	c->handles = 2;
	c->ops = ops;
	c->user = user;
	return c;
}

struct conn *conn_accept(uv_stream_t *listener, const struct conn_ops *ops,
    void *user)
{
	struct conn *c = new_conn(listener->loop, ops, user);

	if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
		conn_close(c, false);
		return NULL;
	}
	(void)uv_tcp_nodelay(&c->tcp, 1);
	conn_read(c, true);
	return c;
}

static void on_connected(uv_connect_t *req, int status)
{
	struct conn *c = req->data;

	if (c->closing)
		return;
	c->connecting = false;
	if (status != 0) {
		tell_end(c, true);
		return;
	}
	(void)uv_tcp_nodelay(&c->tcp, 1);
	if (c->wanted)
		(void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

struct conn *conn_connect(uv_loop_t *loop, const struct sockaddr *to,
    const struct sockaddr *from, const struct conn_ops *ops, void *user)
{
	struct conn *c = new_conn(loop, ops, user);

	c->connecting = c->wanted = true;
	if ((from != NULL && uv_tcp_bind(&c->tcp, from, 0) != 0) ||
	    uv_tcp_connect(&c->connect, &c->tcp, to, on_connected) != 0) {
		conn_close(c, false);
		return NULL;
	}
	return c;
}

static void on_written(uv_write_t *req, int status)
{
	struct conn *c = req->handle->data;

	free(req);
	if (c->leaving)
		return;
	if (status != 0)
		tell_end(c, true);
	else if (conn_queued(c) == 0)
		c->ops->on_drained(c->user);
}

void conn_send(struct conn *c, const void *data, size_t len)
{
	struct parcel *p;
	uv_buf_t buf;

	if (c->leaving || len == 0)
		return;
	p = malloc(sizeof(*p) + len);
	if (p == NULL)
		abort();
	memcpy(p->data, data, len);
	buf = uv_buf_init((char *)p->data, (unsigned)len);
	if (uv_write(&p->req, (uv_stream_t *)&c->tcp, &buf, 1,
	    on_written) != 0)
		free(p);	/* the next read tells why */
}

size_t conn_queued(const struct conn *c)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	if (status != 0)
		conn_close(req->data, false);
}

static void on_deadline(uv_timer_t *timer)
{
	conn_close(timer->data, false);
}

void conn_finish(struct conn *c)
{
	if (c == NULL || c->leaving)
		return;
	conn_read(c, true);
	c->leaving = true;
	if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shut) != 0)
		conn_close(c, false);
	else
		uv_timer_start(&c->deadline, on_deadline, FINISH_MS, 0);
}
