#include "config.h"

#include "tests/support/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/pattern.h"

#define CHUNK 65536u		/* bytes read or sent by one call */
#define TURN 16			/* chunks before others get their turn */

enum mode { MODE_END, MODE_PATTERN, MODE_TAKE };

struct peer {
	uv_poll_t poll;
	int fd;
	const struct peer_ops *ops;
	void *user;
	bool connecting, closing, failed, eof;
	int pending_err;	/* to be told from the loop */
	/* out */
	uint8_t *bytes;
	size_t bytes_len, bytes_done;
	uint64_t out_seed, out_place, out_left, sent;
	bool tell_sent, end, ended;
	/* in */
	enum mode mode;
	uint64_t in_seed, in_place, in_left, received, allowed;
	uint8_t *taken;
	size_t taken_len, take_least, take_most;
};

static uint8_t scratch[CHUNK];

static void on_poll(uv_poll_t *poll, int status, int events);

/* Ask the loop for exactly what we can do something about. */
static void watch(struct peer *p)
{
	int events = 0;

	if (p->closing)
		return;
	if (!p->failed && !p->eof && !p->connecting && p->allowed > 0)
		events |= UV_READABLE;
	if (!p->failed && (p->connecting || p->out_left > 0 ||
	    p->bytes_done < p->bytes_len || p->tell_sent ||
	    (p->end && !p->ended) || p->pending_err != 0))
		events |= UV_WRITABLE;
	if (events == 0)
		uv_poll_stop(&p->poll);
	else
		uv_poll_start(&p->poll, events, on_poll);
}

static struct peer *adopt(uv_loop_t *loop, int fd, const struct peer_ops *ops,
    void *user)
{
	struct peer *p = calloc(1, sizeof(*p));
	int one = 1;

	if (p == NULL || uv_poll_init(loop, &p->poll, fd) != 0) {
		free(p);
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	/* A packet of the tests is a packet: never wait for more. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->poll.data = p;
	p->fd = fd;
	p->ops = ops;
	p->user = user;
	p->allowed = PEER_UNLIMITED;
	return p;
}

struct peer *peer_accept(uv_loop_t *loop, int fd, const struct peer_ops *ops,
    void *user)
{
	struct peer *p = adopt(loop, fd, ops, user);

	if (p != NULL)
		watch(p);
	return p;
}

struct peer *peer_connect(uv_loop_t *loop, const struct sockaddr *sa,
    const struct peer_ops *ops, void *user)
{
	socklen_t len = sa->sa_family == AF_INET6 ?
	    sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	struct peer *p;
	int fd, err;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd < 0)
		return NULL;
	if (connect(fd, sa, len) != 0 && errno != EINPROGRESS) {
		err = errno;
		close(fd);
		errno = err;
		return NULL;
	}
	p = adopt(loop, fd, ops, user);
	if (p != NULL) {
		p->connecting = true;
		watch(p);
	}
	return p;
}

static void on_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;

	free(p->bytes);
	free(p->taken);
	free(p);
}

void peer_close(struct peer *p)
{
	if (p == NULL || p->closing)
		return;
	p->closing = true;
	uv_poll_stop(&p->poll);
	close(p->fd);
	p->fd = -1;
	uv_close((uv_handle_t *)&p->poll, on_closed);
}

void peer_reset(struct peer *p)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (p == NULL || p->closing)
		return;
	(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	peer_close(p);
}

static void fail(struct peer *p, int err)
{
	if (p->failed)
		return;
	p->failed = true;
	watch(p);
	p->ops->on_failed(p->user, p, err);
}

/* One send(2). 1: go on; 0: not now, or failed (pending_err). */
static int send_some(struct peer *p, const uint8_t *data, size_t len)
{
	ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			p->pending_err = errno;
		return 0;
	}
	p->sent += (size_t)n;
	if (p->bytes_done < p->bytes_len) {
		p->bytes_done += (size_t)n;
	} else {
		p->out_place += (size_t)n;
		p->out_left -= (size_t)n;
	}
	return (size_t)n == len ? 1 : 0;
}

/* Send until the socket is full, our turn over, or nothing left. */
static void send_all(struct peer *p)
{
	size_t n;
	int rc = 1;

	for (int turn = 0; rc > 0 && turn < TURN; turn++) {
		if (p->bytes_done < p->bytes_len) {
			rc = send_some(p, p->bytes + p->bytes_done,
			    p->bytes_len - p->bytes_done);
		} else if (p->out_left > 0) {
			n = p->out_left < CHUNK ? (size_t)p->out_left : CHUNK;
			pattern_fill(p->out_seed, p->out_place, scratch, n);
			rc = send_some(p, scratch, n);
		} else {
			break;
		}
	}
	if (p->bytes_done < p->bytes_len || p->out_left > 0)
		return;
	p->bytes_done = p->bytes_len = 0;
	if (p->end && !p->ended) {
		p->ended = true;
		(void)shutdown(p->fd, SHUT_WR);
	}
}

/* Try at once: a small answer shall not wait for the loop's next turn. */
static void send_now(struct peer *p)
{
	if (p->connecting || p->failed || p->closing || p->pending_err != 0)
		return;
	send_all(p);
	watch(p);
}

void peer_send_bytes(struct peer *p, const void *data, size_t len)
{
	if (p->bytes == NULL)
		p->bytes = malloc(PEER_BYTES_MAX);
	if (p->bytes == NULL || len > PEER_BYTES_MAX - p->bytes_len)
		abort();	/* a mistake in the test program */
	memcpy(p->bytes + p->bytes_len, data, len);
	p->bytes_len += len;
	send_now(p);
}

void peer_send(struct peer *p, uint64_t seed, uint64_t offset, uint64_t len)
{
	if (p->out_left > 0)
		abort();	/* one pattern at a time */
	p->out_seed = seed;
	p->out_place = offset;
	p->out_left = len;
	send_now(p);
}

void peer_tell_sent(struct peer *p)
{
	p->tell_sent = true;
	watch(p);
}

void peer_end(struct peer *p)
{
	p->end = true;
	send_now(p);
}

void peer_expect(struct peer *p, uint64_t seed, uint64_t offset, uint64_t len)
{
	p->mode = len > 0 ? MODE_PATTERN : MODE_END;
	p->in_seed = seed;
	p->in_place = offset;
	p->in_left = len;
	watch(p);
}

void peer_take(struct peer *p, size_t least, size_t most)
{
	if (p->taken == NULL)
		p->taken = malloc(PEER_BYTES_MAX);
	if (p->taken == NULL || most > PEER_BYTES_MAX || least > most)
		abort();	/* a mistake in the test program */
	p->mode = MODE_TAKE;
	p->taken_len = 0;
	p->take_least = least;
	p->take_most = most;
	watch(p);
}

const uint8_t *peer_taken(const struct peer *p, size_t *len)
{
	*len = p->taken_len;
	return p->taken;
}

void peer_expect_end(struct peer *p)
{
	p->mode = MODE_END;
	watch(p);
}

void peer_allow(struct peer *p, uint64_t bytes)
{
	p->allowed = bytes;
	watch(p);
}

uint64_t peer_sent(const struct peer *p)
{
	return p->sent;
}

uint64_t peer_received(const struct peer *p)
{
	return p->received;
}

uint64_t peer_place(const struct peer *p)
{
	return p->in_place;
}

/* What arrived is in scratch or taken: compare, count, and tell. */
static int accept_bytes(struct peer *p, size_t n)
{
	size_t good;

	p->received += n;
	if (p->mode == MODE_PATTERN) {
		good = pattern_check(p->in_seed, p->in_place, scratch, n);
		p->in_place += good;
		p->in_left -= good;
		if (good < n) {
			fail(p, EILSEQ);
			return -1;
		}
		if (p->in_left > 0)
			return 0;
	} else {
		p->taken_len += n;
		if (p->taken_len < p->take_least)
			return 0;
	}
	p->mode = MODE_END;
	p->ops->on_received(p->user, p);
	return 0;
}

/* One recv(2) into the place for it. 1: go on; 0: stop. */
static int receive_some(struct peer *p)
{
	uint8_t *into = scratch;
	uint64_t most = CHUNK;
	ssize_t n;

	if (p->mode == MODE_PATTERN && p->in_left < most) {
		most = p->in_left;
	} else if (p->mode == MODE_TAKE) {
		into = p->taken + p->taken_len;
		most = p->take_most - p->taken_len;
	}
	if (most > p->allowed)
		most = p->allowed;
	n = recv(p->fd, into, (size_t)most, 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail(p, errno);
		return 0;
	}
	if (n == 0) {
		p->eof = true;
		p->ops->on_eof(p->user, p);
		return 0;
	}
	if (p->allowed != PEER_UNLIMITED)
		p->allowed -= (size_t)n;
	if (p->mode == MODE_END) {
		p->received += (size_t)n;
		fail(p, EPROTO);
		return 0;
	}
	return accept_bytes(p, (size_t)n) == 0 && (uint64_t)n == most;
}

static void finish_connect(struct peer *p)
{
	socklen_t len = sizeof(int);
	int err = 0;

	(void)getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	p->connecting = false;
	if (err != 0) {
		fail(p, err);
		return;
	}
	if (p->ops->on_connected != NULL)
		p->ops->on_connected(p->user, p);
}

static bool all_sent(const struct peer *p)
{
	return p->bytes_done == p->bytes_len && p->out_left == 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct peer *p = poll->data;

	if (p->connecting) {
		finish_connect(p);
		watch(p);
		return;
	}
	/* libuv tells an error of the socket as status; recv(2) says which. */
	if (status < 0) {
		events = UV_READABLE;
		if (p->allowed == 0)
			p->pending_err = ECONNRESET;
	}
	if (events & UV_WRITABLE && p->pending_err == 0) {
		send_all(p);
		if (p->pending_err == 0 && all_sent(p) && p->tell_sent) {
			p->tell_sent = false;
			p->ops->on_sent(p->user, p);
		}
	}
	if (events & UV_READABLE && p->pending_err == 0) {
		for (int turn = 0; turn < TURN; turn++) {
			if (p->closing || p->failed || p->eof ||
			    p->allowed == 0 || receive_some(p) == 0)
				break;
		}
	}
	if (p->pending_err != 0 && !p->closing)
		fail(p, p->pending_err);
	watch(p);
}
