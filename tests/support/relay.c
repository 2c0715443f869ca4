/*
 * A link emulator for TCP in user space: passes connections on and gives each
 * direction a delay, and all connections together a rate.
 *
 *   relay --listen 127.0.0.1:0 --to HOST:PORT [--delay-ms 25]
 *         [--rate BYTES/S] [--queue BYTES]
 *         [--cut-every-ms MIN-MAX [--seed N]]
 *
 * Opening a connection costs a round trip as well. --queue limits what one
 * direction of one connection keeps (the rest stays with its sender).
 * SIGUSR1 cuts all connections with a reset towards both ends; SIGUSR2 makes
 * the link a black hole, and a second one ends that: nothing is passed, and
 * nothing is lost that TCP would have repeated. SIGTERM ends.
 *
 * What was read waits in a ring per direction; what is due when stands in
 * one first-in-first-out list of marks per direction of the link, since a
 * constant delay keeps the order.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <uv.h>

#include "tests/support/address.h"

#define READ_MAX 262144u	/* bytes taken from a socket at once */
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

enum side { CLIENT, TARGET };

enum mark_kind {
	MARK_BYTES,		/* len bytes of the ring may go out */
	MARK_END,		/* the sender has ended its half */
	MARK_SYN,		/* a new connection reaches the target */
	MARK_SYN_ACK,		/* ... and its answer the client */
	MARK_RESET		/* the sender has reset the connection */
};

struct mark {
	struct mark *next;
	struct pair *pair;
	enum mark_kind kind;
	uint64_t due_ns;
	size_t len;
};

/* One direction of the link. */
struct link {
	struct mark *first, **last;
	uint64_t free_ns;	/* when the wire has sent what it has */
};

/* One direction of one connection: from one socket to the other. */
struct flow {
	uint8_t *ring;
	size_t size;		/* of the ring: a power of two, or 0 */
	uint64_t in, out, due;	/* bytes read, written, and due so far */
	bool reading, eof, end_due, ended;
};

struct end {
	uv_poll_t poll;
	int fd;
	bool polled;		/* poll is initialised, to be closed */
	int events;
};

struct pair {
	struct relay *r;
	struct pair *next, **link;
	struct end end[2];
	struct flow flow[2];	/* [CLIENT]: from the client */
	bool connected, dead;
	size_t refs;		/* handles and marks that point here */
};

struct relay {
	uv_loop_t loop;
	uv_poll_t listener, clock;
	uv_timer_t cutter;
	uv_signal_t signals[3];
	int fd, timer_fd;
	uint64_t armed_ns;
	struct sockaddr_storage to;
	uint64_t delay_ns, rate;
	size_t queue;
	uint64_t cut_min_ms, cut_max_ms, seed;
	bool hole;
	struct link links[2];
	struct pair *pairs;
	uint64_t count, cuts, passed;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void unref(struct pair *p)
{
	if (--p->refs > 0)
		return;
	free(p->flow[CLIENT].ring);
	free(p->flow[TARGET].ring);
	free(p);
}

static void on_end_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

/* Let go of both sockets; with a reset, or after both halves have ended. */
static void kill_pair(struct pair *p, bool reset)
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
	unref(p);
}

/* ---- marks ------------------------------------------------------------ */

/* Wake up when the first mark is due. */
static void arm(struct relay *r)
{
	struct itimerspec at = { .it_value = { 0, 0 } };
	uint64_t due = UINT64_MAX;

	for (int i = 0; i < 2 && !r->hole; i++)
		if (r->links[i].first != NULL &&
		    r->links[i].first->due_ns < due)
			due = r->links[i].first->due_ns;
	if (due == r->armed_ns)
		return;
	r->armed_ns = due;
	if (due != UINT64_MAX) {
		at.it_value.tv_sec = (time_t)(due / NS_PER_S);
		at.it_value.tv_nsec = (long)(due % NS_PER_S);
	}
	(void)timerfd_settime(r->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Something enters the link now, on the way from `side`. */
static void put_mark(struct pair *p, enum side side, enum mark_kind kind,
    size_t len)
{
	struct relay *r = p->r;
	struct link *l = &r->links[side];
	struct mark *m = calloc(1, sizeof(*m));
	uint64_t now = uv_hrtime();

	if (m == NULL)
		abort();
	if (l->free_ns < now)
		l->free_ns = now;
	if (r->rate > 0)
		l->free_ns += (uint64_t)len * NS_PER_S / r->rate;
	m->pair = p;
	m->kind = kind;
	m->len = len;
	m->due_ns = l->free_ns + r->delay_ns;
	p->refs++;
	*l->last = m;
	l->last = &m->next;
	arm(r);
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
		put_mark(p, side, n == 0 ? MARK_END : MARK_RESET, 0);
		return;
	}
	f->in += (size_t)n;
	put_mark(p, side, MARK_BYTES, (size_t)n);
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
			kill_pair(p, true);
			return;
		}
		f->out += (size_t)n;
		p->r->passed += (size_t)n;
	}
	if (f->end_due && !f->ended) {
		f->ended = true;
		(void)shutdown(fd, SHUT_WR);
		if (p->flow[1 - side].ended)
			kill_pair(p, false);
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
		kill_pair(p, true);
		return;
	}
	adopt(p, TARGET, fd);
	if (connect(fd, sa, len) != 0 && errno != EINPROGRESS)
		put_mark(p, TARGET, MARK_RESET, 0);
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
		put_mark(p, TARGET, MARK_RESET, 0);
		return;
	}
	p->flow[TARGET].reading = true;
	put_mark(p, TARGET, MARK_SYN_ACK, 0);
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

/* A mark has reached the end of the link. */
static void deliver(struct mark *m, enum side side)
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
		kill_pair(p, true);
		break;
	}
	watch(p);
}

static void on_clock(uv_poll_t *poll, int status, int events)
{
	struct relay *r = poll->data;
	uint64_t ticks, now;

	(void)status;
	(void)events;
	(void)!read(r->timer_fd, &ticks, sizeof(ticks));
	r->armed_ns = 0;
	now = uv_hrtime();
	for (int i = 0; i < 2 && !r->hole; i++) {
		struct link *l = &r->links[i];
		struct mark *m;

		while ((m = l->first) != NULL && m->due_ns <= now) {
			l->first = m->next;
			if (l->first == NULL)
				l->last = &l->first;
			deliver(m, (enum side)i);
			unref(m->pair);
			free(m);
		}
	}
	arm(r);
}

static void on_connection(uv_poll_t *poll, int status, int events)
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
		put_mark(p, CLIENT, MARK_SYN, 0);
	}
}

/* ---- trouble ---------------------------------------------------------- */

static void cut_all(struct relay *r)
{
	unsigned n = 0;

	while (r->pairs != NULL) {
		kill_pair(r->pairs, true);
		n++;
	}
	r->cuts++;
	printf("cut connections=%u\n", n);
}

static void on_cut_due(uv_timer_t *timer);

static void plan_cut(struct relay *r)
{
	uint64_t span = r->cut_max_ms - r->cut_min_ms + 1;

	r->seed = r->seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	uv_timer_start(&r->cutter, on_cut_due,
	    r->cut_min_ms + (r->seed >> 33) % span, 0);
}

static void on_cut_due(uv_timer_t *timer)
{
	cut_all(timer->data);
	plan_cut(timer->data);
}

static void finish(struct relay *r)
{
	while (r->pairs != NULL)
		kill_pair(r->pairs, true);
	printf("end connections=%" PRIu64 " cuts=%" PRIu64 " bytes=%" PRIu64
	    "\n", r->count, r->cuts, r->passed);
	r->hole = false;
	for (int i = 0; i < 2; i++) {
		struct mark *m;

		while ((m = r->links[i].first) != NULL) {
			r->links[i].first = m->next;
			unref(m->pair);
			free(m);
		}
	}
	for (int i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&r->signals[i], NULL);
	uv_close((uv_handle_t *)&r->listener, NULL);
	uv_close((uv_handle_t *)&r->clock, NULL);
	uv_close((uv_handle_t *)&r->cutter, NULL);
	close(r->fd);
	close(r->timer_fd);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct relay *r = handle->data;

	if (signum == SIGUSR1) {
		cut_all(r);
	} else if (signum == SIGUSR2) {
		r->hole = !r->hole;
		printf("black-hole %s\n", r->hole ? "on" : "off");
		arm(r);
	} else {
		finish(r);
	}
}

/* ---- start ------------------------------------------------------------ */

static void usage(FILE *to)
{
	fputs("usage: relay --listen ADDRESS:PORT --to HOST:PORT [options]\n"
	    "  --delay-ms N            each direction; 0\n"
	    "  --rate N                bytes/s, each direction; no limit\n"
	    "  --queue N               bytes kept per connection and\n"
	    "                          direction; 4194304\n"
	    "  --cut-every-ms MIN-MAX  reset all connections that often\n"
	    "  --seed N                of the moments of the cuts; 1\n", to);
}

static void parse_cuts(struct relay *r, const char *text)
{
	char end;

	if (sscanf(text, "%" SCNu64 "-%" SCNu64 "%c", &r->cut_min_ms,
	    &r->cut_max_ms, &end) != 2 || r->cut_min_ms == 0 ||
	    r->cut_max_ms < r->cut_min_ms) {
		fprintf(stderr, "relay: --cut-every-ms: '%s' is not "
		    "MIN-MAX\n", text);
		exit(2);
	}
}

static void options(int argc, char **argv, struct relay *r,
    struct sockaddr_storage *at)
{
	static const struct option known[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "to", required_argument, NULL, 't' },
		{ "delay-ms", required_argument, NULL, 'd' },
		{ "rate", required_argument, NULL, 'r' },
		{ "queue", required_argument, NULL, 'q' },
		{ "cut-every-ms", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	bool listening = false, target = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'l':
			listening = address_parse("relay", optarg, at) == 0;
			break;
		case 't':
			target = address_parse("relay", optarg, &r->to) == 0;
			break;
		case 'd':
			r->delay_ns = NS_PER_MS *
			    address_number("relay", "delay-ms", optarg);
			break;
		case 'r':
			r->rate = address_number("relay", "rate", optarg);
			break;
		case 'q':
			r->queue = address_number("relay", "queue", optarg);
			break;
		case 'c':
			parse_cuts(r, optarg);
			break;
		case 's':
			r->seed = address_number("relay", "seed", optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!listening || !target || r->queue == 0 || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

static void start_signals(struct relay *r)
{
	static const int wanted[3] = { SIGUSR1, SIGUSR2, SIGTERM };

	for (int i = 0; i < 3; i++) {
		uv_signal_init(&r->loop, &r->signals[i]);
		r->signals[i].data = r;
		uv_signal_start(&r->signals[i], on_signal, wanted[i]);
	}
}

int main(int argc, char **argv)
{
	static struct relay r = { .queue = 4194304, .seed = 1 };
	struct sockaddr_storage at, bound;
	char text[ADDRESS_TEXT_MAX];

	options(argc, argv, &r, &at);
	setvbuf(stdout, NULL, _IOLBF, 0);
	r.links[0].last = &r.links[0].first;
	r.links[1].last = &r.links[1].first;
	r.armed_ns = UINT64_MAX;
	r.fd = address_listen("relay", &at, &bound);
	r.timer_fd = timerfd_create(CLOCK_MONOTONIC,
	    TFD_NONBLOCK | TFD_CLOEXEC);
	if (r.fd < 0 || r.timer_fd < 0 || uv_loop_init(&r.loop) != 0)
		return 1;
	r.listener.data = r.clock.data = r.cutter.data = &r;
	uv_poll_init(&r.loop, &r.listener, r.fd);
	uv_poll_start(&r.listener, UV_READABLE, on_connection);
	uv_poll_init(&r.loop, &r.clock, r.timer_fd);
	uv_poll_start(&r.clock, UV_READABLE, on_clock);
	uv_timer_init(&r.loop, &r.cutter);
	start_signals(&r);
	if (r.cut_max_ms > 0)
		plan_cut(&r);
	printf("listen address=%s\n",
	    address_text((struct sockaddr *)&bound, text));
	uv_run(&r.loop, UV_RUN_DEFAULT);
	uv_loop_close(&r.loop);
	return 0;
}
