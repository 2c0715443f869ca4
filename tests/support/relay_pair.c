/* The connections: both sockets of each, and what waits between them. */
#include "config.h"

#include "tests/support/relay_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_MAX 262144u	/* bytes taken from a socket at once */

static void on_poll(uv_poll_t *poll, int status, int events);

void relay_unref(struct pair *p)
{
	if (--p->refs > 0)
		return;
	free(p->flow[CLIENT].ring);
	free(p->flow[TARGET].ring);
	free(p);
}

static void on_end_closed(uv_handle_t *handle)
{
	relay_unref(handle->data);
}

void relay_kill_pair(struct pair *p, bool reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (p->dead)
		return;
	p->dead = true;
	for (int i = 0; i < 2; i++) {
		struct end *e = &p->end[i];

		if (e->fd < 0)
			continue;
		if (reset)
			(void)setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &now,
			    sizeof(now));
		if (e->polled) {
			uv_poll_stop(&e->poll);
			uv_close((uv_handle_t *)&e->poll, on_end_closed);
		}
		close(e->fd);
		e->fd = -1;
	}
	*p->link = p->next;
	if (p->next != NULL)
		p->next->link = p->link;
	relay_unref(p);
}

/* ---- flows ------------------------------------------------------------ */

static void watch(struct pair *p)
{
	if (p->dead)
		return;
	for (int i = 0; i < 2; i++) {
		struct end *e = &p->end[i];
		struct flow *from = &p->flow[i], *to = &p->flow[1 - i];
		int events = 0;

		if (!e->polled)
			continue;
		if (from->reading && !from->eof &&
		    from->in - from->out < p->r->queue)
			events |= UV_READABLE;
		if (to->out < to->due || (i == TARGET && !p->connected))
			events |= UV_WRITABLE;
		if (events == e->events)
			continue;
		e->events = events;
		if (events == 0)
			uv_poll_stop(&e->poll);
		else
			uv_poll_start(&e->poll, events, on_poll);
	}
}

/* Room for `want` bytes more; the ring doubles as needed. */
static void grow(struct flow *f, size_t want)
{
	size_t used = (size_t)(f->in - f->out), size = f->size;
	uint8_t *ring;

	if (size - used >= want && size > 0)
		return;
	if (size == 0)
		size = 65536;
	while (size - used < want)
		size *= 2;
	ring = malloc(size);
	if (ring == NULL)
		abort();
	for (uint64_t i = f->out; i < f->in; ) {
		size_t from = (size_t)(i & (f->size - 1));
		size_t to = (size_t)(i & (size - 1)), n = (size_t)(f->in - i);

		if (n > f->size - from)
			n = f->size - from;
		if (n > size - to)
			n = size - to;
		memcpy(ring + to, f->ring + from, n);
		i += n;
	}
	free(f->ring);
	f->ring = ring;
	f->size = size;
}

/* The two pieces of the ring that [from, from + len) lies in. */
static int pieces(const struct flow *f, uint64_t from, size_t len,
    struct iovec iov[2])
{
	size_t at = (size_t)(from & (f->size - 1));
	size_t first = len < f->size - at ? len : f->size - at;

	iov[0].iov_base = f->ring + at;
	iov[0].iov_len = first;
	iov[1].iov_base = f->ring;
	iov[1].iov_len = len - first;
	return len > first ? 2 : 1;
}

static void read_some(struct pair *p, enum side side)
{
	struct flow *f = &p->flow[side];
	size_t room = p->r->queue - (size_t)(f->in - f->out);
	struct iovec iov[2];
	ssize_t n;

	if (room > READ_MAX)
		room = READ_MAX;
	if (room == 0)
		return;
	/* Small at first: most connections never need more. */
	grow(f, room < 16384 || f->size == 0 ? (room < 16384 ? room : 16384) :
	    room);
	if (room > f->size - (size_t)(f->in - f->out))
		room = f->size - (size_t)(f->in - f->out);
	n = readv(p->end[side].fd, iov, pieces(f, f->in, room, iov));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		f->eof = true;
		relay_put_mark(p, side, n == 0 ? MARK_END : MARK_RESET, 0);
		return;
	}
	f->in += (size_t)n;
	relay_put_mark(p, side, MARK_BYTES, (size_t)n);
}

/* Write what is due from `side` to the other end. */
static void write_due(struct pair *p, enum side side)
{
	struct flow *f = &p->flow[side];
	int fd = p->end[1 - side].fd;
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	ssize_t n;

	while (f->out < f->due) {
		msg.msg_iovlen = (size_t)pieces(f, f->out,
		    (size_t)(f->due - f->out), iov);
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			relay_kill_pair(p, true);
			return;
		}
		f->out += (size_t)n;
		p->r->passed += (size_t)n;
	}
	if (f->end_due && !f->ended) {
		f->ended = true;
		(void)shutdown(fd, SHUT_WR);
		if (p->flow[1 - side].ended)
			relay_kill_pair(p, false);
	}
}

/* ---- connections ------------------------------------------------------ */

static void adopt(struct pair *p, enum side side, int fd)
{
	struct end *e = &p->end[side];
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (uv_poll_init(&p->r->loop, &e->poll, fd) != 0)
		abort();
	e->fd = fd;
	e->poll.data = p;
	e->polled = true;
	p->refs++;
}

/* The connection request has reached the far end of the link. */
static void connect_target(struct pair *p)
{
	const struct sockaddr *sa = (const struct sockaddr *)&p->r->to;
	socklen_t len = sa->sa_family == AF_INET6 ?
	    sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		relay_kill_pair(p, true);
		return;
	}
	adopt(p, TARGET, fd);
	if (connect(fd, sa, len) != 0 && errno != EINPROGRESS)
		relay_put_mark(p, TARGET, MARK_RESET, 0);
	else
		watch(p);
}

static void finish_connect(struct pair *p)
{
	socklen_t len = sizeof(int);
	int err = 0;

	(void)getsockopt(p->end[TARGET].fd, SOL_SOCKET, SO_ERROR, &err, &len);
	p->connected = true;
	if (err != 0) {
		relay_put_mark(p, TARGET, MARK_RESET, 0);
		return;
	}
	p->flow[TARGET].reading = true;
	relay_put_mark(p, TARGET, MARK_SYN_ACK, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct pair *p = poll->data;
	enum side side = poll == &p->end[CLIENT].poll ? CLIENT : TARGET;

	if (p->dead)
		return;
	if (status < 0)		/* libuv has stopped the handle */
		p->end[side].events = 0;
	if (side == TARGET && !p->connected) {
		finish_connect(p);
	} else {
		if ((events & UV_READABLE) || status < 0)
			if (!p->flow[side].eof)
				read_some(p, side);
		if ((events & UV_WRITABLE) && !p->dead)
			write_due(p, 1 - side);
	}
	watch(p);
}

void relay_deliver(struct mark *m, enum side side)
{
	struct pair *p = m->pair;

	if (p->dead)
		return;
	switch (m->kind) {
	case MARK_BYTES:
		p->flow[side].due += m->len;
		write_due(p, side);
		break;
	case MARK_END:
		p->flow[side].end_due = true;
		write_due(p, side);
		break;
	case MARK_SYN:
		connect_target(p);
		break;
	case MARK_SYN_ACK:
		p->flow[CLIENT].reading = true;
		break;
	case MARK_RESET:
		relay_kill_pair(p, true);
		break;
	}
	watch(p);
}

void relay_on_connection(uv_poll_t *poll, int status, int events)
{
	struct relay *r = poll->data;
	struct pair *p;
	int fd;

	(void)status;
	(void)events;
	while ((fd = accept4(r->fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			abort();
		p->r = r;
		p->refs = 1;
		p->end[TARGET].fd = -1;
		adopt(p, CLIENT, fd);
		p->next = r->pairs;
		p->link = &r->pairs;
		if (p->next != NULL)
			p->next->link = &p->next;
		r->pairs = p;
		r->count++;
		relay_put_mark(p, CLIENT, MARK_SYN, 0);
	}
}
