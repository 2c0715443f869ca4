#include "config.h"

#include "common/pump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/session.h"

#define MOVE_MAX 65536u		/* bytes moved by one system call */

/*
 *  in   (socket to stream)   OPEN -> ENDED    the socket's end was read
 *  out  (stream to socket)   OPEN -> DRAINED  the stream's end: shutdown begun
 *                                 -> ENDED    shutdown done
 *
 * The pump is done when both have ended, or at once when either fails.
 */
enum half { HALF_OPEN, HALF_DRAINED, HALF_ENDED };

struct pump {
	uv_tcp_t *tcp;
	struct stream *stream;
	const struct pump_ops *ops;
	void *ctx;
	enum half in, out;
	bool reading;
	uv_write_t write;
	size_t write_len;		/* pending in write; 0: none */
	size_t write_taken;		/* of it, what is consumed already */
	uv_shutdown_t shutdown;
	uint64_t bytes_in, bytes_out;
	/*
	 * libuv looks at a socket only while it reads or writes. While we do
	 * neither, this notices that the other end has reset it.
	 */
	uv_poll_t watch;		/* on a descriptor of its own */
	int watch_fd;			/* -1: none */
	bool watching, watch_gave_up;
	unsigned handles;		/* open: tcp, and perhaps watch */
};

/*
 * Between the callbacks nothing is kept in it, and a process has one loop in
 * one thread: so all pumps share it.
 */
static uint8_t shared[MOVE_MAX];
static unsigned reads;		/* since the last portion was complete */

/* ---- the end ---------------------------------------------------------- */

static void set_linger_zero(uv_tcp_t *tcp)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };
	uv_os_fd_t fd;

	/*
	 * Not uv_tcp_close_reset, which refuses while a shutdown is pending. If
	 * it fails the peer sees an end where it should see a reset: too late
	 * to do anything about it.
	 */
	if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void on_lone_closed(uv_handle_t *handle)
{
	free(handle);
}

void pump_close_reset(uv_tcp_t *tcp)
{
	set_linger_zero(tcp);
	uv_close((uv_handle_t *)tcp, on_lone_closed);
}

static void release_handle(struct pump *p)
{
	if (--p->handles > 0)
		return;
	free(p->tcp);
	free(p);
}

static void on_tcp_closed(uv_handle_t *handle)
{
	release_handle(handle->data);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct pump *p = handle->data;

	close(p->watch_fd);
	release_handle(p);
}

/*
 * The one way out. The socket goes first: libuv does not touch a pending
 * write's bytes once it is closed, and they belong to the stream.
 */
static void finish(struct pump *p, uint64_t code, bool peer_knows)
{
	struct stream *st = p->stream;

	p->stream = NULL;
	if (code != STREAM_OK)
		set_linger_zero(p->tcp);
	uv_close((uv_handle_t *)p->tcp, on_tcp_closed);
	if (p->watch_fd >= 0)
		uv_close((uv_handle_t *)&p->watch, on_watch_closed);
	if (code == STREAM_OK)
		stream_release(st);
	else if (!peer_knows)
		stream_reset(st, code);
	p->ops->on_done(p->ctx, p, code);
}

static bool finish_if_ended(struct pump *p)
{
	if (p->in != HALF_ENDED || p->out != HALF_ENDED)
		return false;
	finish(p, STREAM_OK, true);
	return true;
}

/* ---- a socket that is neither read nor written ------------------------ */

static void on_watch(uv_poll_t *watch, int status, int events)
{
	struct pump *p = watch->data;
	socklen_t len = sizeof(int);
	int err = 0;

	(void)status;		/* that of the socket itself is what counts */
	(void)events;
	uv_poll_stop(watch);
	p->watching = false;
	if (getsockopt(p->watch_fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 &&
	    err != 0)
		finish(p, STREAM_PEER_RESET, false);
	else
		p->watch_gave_up = true;	/* it would fire for ever */
}

/* Without it (no descriptor left) a reset is noticed later: no failure. */
static bool watch_open(struct pump *p)
{
	uv_os_fd_t fd;

	if (p->watch_fd >= 0)
		return true;
	if (uv_fileno((uv_handle_t *)p->tcp, &fd) != 0)
		return false;
	p->watch_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (p->watch_fd < 0)
		return false;
	if (uv_poll_init(p->tcp->loop, &p->watch, p->watch_fd) != 0) {
		close(p->watch_fd);
		p->watch_fd = -1;
		p->watch_gave_up = true;
		return false;
	}
	p->watch.data = p;
	p->handles++;
	return true;
}

/* Watch while libuv does not look; errors are reported whatever is polled. */
static void update_watch(struct pump *p)
{
	bool want = !p->reading && p->write_len == 0 && !p->watch_gave_up;

	if (want == p->watching || (want && !watch_open(p)))
		return;
	if (!want)
		uv_poll_stop(&p->watch);
	else if (uv_poll_start(&p->watch, UV_PRIORITIZED, on_watch) != 0)
		return;
	p->watching = want;
}

/* ---- from the socket to the stream ------------------------------------ */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct pump *p = handle->data;
	size_t room = stream_room(p->stream);

	(void)suggested;
	*buf = uv_buf_init((char *)shared,
	    (unsigned)(room < MOVE_MAX ? room : MOVE_MAX));
}

static void stop_reading(struct pump *p)
{
	uv_read_stop((uv_stream_t *)p->tcp);
	p->reading = false;
	update_watch(p);
}

/* Some bytes were read. */
static void take(struct pump *p, const void *data, size_t len)
{
	p->bytes_in += len;
	/* There was room: less is taken only without memory. */
	if (stream_write(p->stream, data, len) != len) {
		finish(p, STREAM_INTERNAL, false);
		return;
	}
	if (++reads < PUMP_PORTION)
		return;
	reads = 0;
	if (p->ops->on_portion != NULL)
		p->ops->on_portion(p->ctx);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf)
{
	struct pump *p = tcp->data;

	if (n == UV_ENOBUFS) {
		stop_reading(p);	/* no room, until on_writable */
	} else if (n == UV_EOF) {
		p->in = HALF_ENDED;
		stream_finish(p->stream);
		if (!finish_if_ended(p))
			stop_reading(p);
	} else if (n < 0) {
		finish(p, STREAM_PEER_RESET, false);
	} else if (n > 0) {
		take(p, buf->base, (size_t)n);
	}
}

static int start_reading(struct pump *p)
{
	if (p->reading || p->in != HALF_OPEN || stream_room(p->stream) == 0)
		return 0;
	if (uv_read_start((uv_stream_t *)p->tcp, on_alloc, on_read) != 0)
		return ERR_IO;
	p->reading = true;
	return 0;
}

static void on_writable(void *user, struct stream *st)
{
	struct pump *p = user;

	(void)st;
	if (start_reading(p) != 0)
		finish(p, STREAM_INTERNAL, false);
	else
		update_watch(p);
}

/* ---- from the stream to the socket ------------------------------------ */

static void flush(struct pump *p);

static void took(struct pump *p, size_t n)
{
	p->bytes_out += n;
	stream_consume(p->stream, n);
}

static void on_written(uv_write_t *req, int status)
{
	struct pump *p = req->data;

	if (status == UV_ECANCELED)
		return;			/* closed by us; the stream is gone */
	if (status < 0) {
		finish(p, STREAM_PEER_RESET, false);
		return;
	}
	took(p, p->write_len - p->write_taken);
	p->write_len = 0;
	flush(p);
}

/*
 * Wait for the socket with the stream's own bytes, which stay where they are.
 * Failures of the socket, that of an earlier attempt too, come by callback, so
 * that on_done never runs inside pump_new.
 */
static void write_later(struct pump *p)
{
	const uint8_t *data;
	size_t len = stream_peek(p->stream, &data);
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
	int rc;

	p->write.data = p;
	p->write_len = len;
	p->write_taken = 0;
	rc = uv_write(&p->write, (uv_stream_t *)p->tcp, &buf, 1, on_written);
	assert(rc == 0);	/* one buffer, and the handle is open */
	(void)rc;
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	struct pump *p = req->data;

	if (status == UV_ECANCELED)
		return;
	if (status < 0) {
		finish(p, STREAM_PEER_RESET, false);
		return;
	}
	p->out = HALF_ENDED;
	(void)finish_if_ended(p);
}

static void end_output(struct pump *p)
{
	int rc;

	p->out = HALF_DRAINED;
	p->shutdown.data = p;
	rc = uv_shutdown(&p->shutdown, (uv_stream_t *)p->tcp, on_shutdown);
	assert(rc == 0);	/* connected, open, and the only one */
	(void)rc;
}

/*
 * Write what there is. The stream keeps its bytes in small pieces: they are
 * gathered first, since copying costs less than many calls and small packets.
 */
static void flush(struct pump *p)
{
	size_t len;

	while (p->write_len == 0 &&
	    (len = stream_copy(p->stream, shared, MOVE_MAX)) > 0) {
		uv_buf_t buf = uv_buf_init((char *)shared, (unsigned)len);
		int n = uv_try_write((uv_stream_t *)p->tcp, &buf, 1);

		if (n > 0)
			took(p, (size_t)n);
		if (n < (int)len)
			write_later(p);
	}
	if (p->write_len == 0 && p->out == HALF_OPEN &&
	    stream_at_end(p->stream))
		end_output(p);
	update_watch(p);
}

static void on_readable(void *user, struct stream *st)
{
	(void)st;
	flush(user);
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	(void)st;
	/* OK would mean that nothing happened. */
	finish(user, code != STREAM_OK ? code : STREAM_PEER_RESET, true);
}

/* ---- life ------------------------------------------------------------- */

static struct pump *make(uv_tcp_t *tcp, struct stream *stream,
    const struct pump_ops *ops, void *ctx)
{
	struct pump *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->tcp = tcp;
	p->stream = stream;
	p->ops = ops;
	p->ctx = ctx;
	p->watch_fd = -1;
	p->handles = 1;
	(void)uv_tcp_nodelay(tcp, 1);	/* slower without, but no worse */
	return p;
}

static const struct stream_ops stream_ops = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_reset = on_reset
};

int pump_new(struct pump **out, uv_tcp_t *tcp, struct stream *stream,
    const struct pump_ops *ops, void *ctx)
{
	void *tcp_data = tcp->data;
	struct pump *p = make(tcp, stream, ops, ctx);

	if (p == NULL)
		return ERR_NOMEM;
	tcp->data = p;
	if (start_reading(p) != 0) {
		tcp->data = tcp_data;
		free(p);
		return ERR_IO;
	}
	stream_attach(stream, &stream_ops, p);
	*out = p;
	flush(p);
	return 0;
}

/* ---- upgrade ---------------------------------------------------------- */

void pump_settle(struct pump *p, struct pump_state *out)
{
	size_t left = uv_stream_get_write_queue_size((uv_stream_t *)p->tcp);
	size_t taken = p->write_len;
	uv_os_fd_t fd = -1;

	/* Of a pending write the kernel has all but what libuv still has. */
	if (taken > 0) {
		taken = left < taken ? taken - left : 0;
		took(p, taken - p->write_taken);
		p->write_taken = taken;
	}
	(void)uv_fileno((uv_handle_t *)p->tcp, &fd);	/* it is open */
	/* A shutdown that has begun is begun again. */
	*out = (struct pump_state){
		.fd = fd,
		.in_ended = p->in == HALF_ENDED,
		.out_ended = p->out == HALF_ENDED,
		.bytes_in = p->bytes_in,
		.bytes_out = p->bytes_out,
	};
}

int pump_resume(struct pump **out, uv_tcp_t *tcp, struct stream *stream,
    const struct pump_state *from, const struct pump_ops *ops, void *ctx)
{
	struct pump *p = make(tcp, stream, ops, ctx);

	if (p == NULL)
		return ERR_NOMEM;
	tcp->data = p;
	p->in = from->in_ended ? HALF_ENDED : HALF_OPEN;
	p->out = from->out_ended ? HALF_ENDED : HALF_OPEN;
	p->bytes_in = from->bytes_in;
	p->bytes_out = from->bytes_out;
	stream_attach(stream, &stream_ops, p);
	*out = p;
	return 0;
}

void pump_start(struct pump *p)
{
	if (start_reading(p) != 0)
		finish(p, STREAM_INTERNAL, false);
	else
		flush(p);
}

void pump_abort(struct pump *p, uint64_t code)
{
	finish(p, code, false);
}

uint64_t pump_bytes_in(const struct pump *p)
{
	return p->bytes_in;
}

uint64_t pump_bytes_out(const struct pump *p)
{
	return p->bytes_out;
}
