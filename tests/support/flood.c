/*
 * A stranger with bad intentions, for one source address.
 *
 *   flood --to 127.0.0.1:PORT --from 127.0.0.2:0 [--path /nrpc]
 *         [--hellos PER_SECOND] [--noise PER_SECOND] [--slow COUNT]
 *         [--garbage PER_SECOND --garbage-to 127.0.0.1:PORT]
 *
 * hellos: whole by their form, so that only the key agreement can tell; in
 * requests one behind the other on a few connections. noise: bodies that are
 * nothing. slow: connections whose head or body comes byte by byte, one a
 * second. garbage: connections that bring bytes which are not even HTTP.
 *
 * Says "flooding" when the slow connections stand, goes on until SIGTERM, and
 * then prints one line of JSON: what was sent, and what came back. What the
 * other end does not take in time is not sent later.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/address.h"

#define FAST 8u			/* connections with hellos and noise */
#define PENDING_MAX 65536u	/* bytes that wait to be sent, on each */
#define TICK_MS 5u
#define HELLO_LEN 204u
#define NOISE_MAX 16384u
#define GARBAGE_MAX 512u	/* connections at once */
#define GARBAGE_LEN 1500u

struct fast {
	int fd;
	char pending[PENDING_MAX];
	size_t len;
	char tail[16];		/* of what came, as a status may be cut */
	size_t tail_len;
};

struct slow {
	int fd;
	bool in_body;
	bool begun;
};

struct flood {
	struct sockaddr_storage to, from, garbage_to;
	const char *path;
	uint64_t hellos, noise, slow_count, garbage;
	struct fast fast[FAST];
	struct slow *slow;
	int raw[GARBAGE_MAX];
	uint64_t hellos_due, noise_due, garbage_due, slow_at;
	uint64_t sent, unsent, ok, not_found, other, cut, thrown;
	uint64_t turn;
	uint64_t random;
};

static volatile sig_atomic_t stopping;

static void on_term(int number)
{
	(void)number;
	stopping = 1;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* xorshift: as good as noise needs to be, and cheap. */
static uint64_t random_number(struct flood *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

static void fill(struct flood *f, char *out, size_t len)
{
	uint64_t n;

	for (size_t i = 0; i < len; i += sizeof(n)) {
		n = random_number(f);
		memcpy(out + i, &n, len - i < sizeof(n) ? len - i : sizeof(n));
	}
}

static socklen_t length(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET ? sizeof(struct sockaddr_in) :
	    sizeof(struct sockaddr_in6);
}

/* Begun, not waited for. -1: not possible now. */
static int begin_connect(const struct flood *f,
    const struct sockaddr_storage *to)
{
	int on = 1, fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* A port may serve for several destinations. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
	    sizeof(on));
	if (bind(fd, (const struct sockaddr *)&f->from,
	    length(&f->from)) == 0 &&
	    (connect(fd, (const struct sockaddr *)to, length(to)) == 0 ||
	    errno == EINPROGRESS))
		return fd;
	close(fd);
	return -1;
}

static bool is_later(void)
{
	return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
}

/* ---- requests --------------------------------------------------------- */

static size_t put_head(struct flood *f, char *out, size_t room, size_t body)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
	    "nopqrstuvwxyz0123456789-_";
	char session[23];
	uint64_t n = 0;

	for (unsigned i = 0; i < 22; i++) {
		if (i % 10 == 0)
			n = random_number(f);
		session[i] = letters[n & 63];
		n >>= 6;
	}
	session[21] = 'A';	/* 128 bits end like this */
	session[22] = '\0';
	return (size_t)snprintf(out, room, "POST %s/%s HTTP/1.1\r\n"
	    "Host: localhost\r\nContent-Length: %zu\r\n\r\n", f->path, session,
	    body);
}

static bool put_request(struct flood *f, struct fast *c, bool is_noise)
{
	size_t body = is_noise ? 1 + random_number(f) % NOISE_MAX : HELLO_LEN;
	char *at = c->pending + c->len;

	if (PENDING_MAX - c->len < body + 256)
		return false;
	at += put_head(f, at, 256, body);
	fill(f, at, body);
	if (!is_noise)
		memcpy(at, "\xf1\x01\x00\xc8", 4);
	c->len = (size_t)(at - c->pending) + body;
	return true;
}

/* ---- hellos and noise ------------------------------------------------- */

static void count_statuses(struct flood *f, struct fast *c, char *data,
    size_t len)
{
	char *at = data, *end = data + len;

	while ((at = memmem(at, (size_t)(end - at), "HTTP/1.1 ", 9)) != NULL &&
	    end - at >= 12) {
		f->ok += memcmp(at + 9, "200", 3) == 0;
		f->not_found += memcmp(at + 9, "404", 3) == 0;
		f->other += memcmp(at + 9, "200", 3) != 0 &&
		    memcmp(at + 9, "404", 3) != 0;
		at += 12;
		data = at;
	}
	c->tail_len = end - data < 11 ? (size_t)(end - data) : 11;
	memcpy(c->tail, end - c->tail_len, c->tail_len);
}

static bool receive(struct flood *f, struct fast *c)
{
	static char data[16 + 65536];
	ssize_t n;

	do {
		memcpy(data, c->tail, c->tail_len);
		n = recv(c->fd, data + c->tail_len, 65536, 0);
		if (n > 0)
			count_statuses(f, c, data, c->tail_len + (size_t)n);
	} while (n == 65536);
	return n > 0 || (n < 0 && is_later());
}

static void run_fast(struct flood *f, struct fast *c)
{
	ssize_t n;

	if (c->fd < 0) {
		c->fd = begin_connect(f, &f->to);
		c->len = c->tail_len = 0;
		return;
	}
	n = send(c->fd, c->pending, c->len, MSG_NOSIGNAL);
	if (n > 0) {
		c->len -= (size_t)n;
		memmove(c->pending, c->pending + n, c->len);
	}
	if ((n < 0 && !is_later()) || !receive(f, c)) {
		close(c->fd);
		c->fd = -1;
	}
}

static void put_many(struct flood *f, uint64_t count, bool is_noise)
{
	for (uint64_t i = 0; i < count; i++) {
		struct fast *c = &f->fast[f->turn++ % FAST];

		if (c->fd >= 0 && put_request(f, c, is_noise))
			f->sent++;
		else
			f->unsent++;
	}
}

/* ---- slow ones -------------------------------------------------------- */

static void trickle(struct flood *f, struct slow *s)
{
	char head[256];
	size_t len;
	ssize_t n;

	if (s->fd < 0) {
		s->fd = begin_connect(f, &f->to);
		s->begun = false;
		return;
	}
	if (!s->begun) {
		len = put_head(f, head, sizeof(head), 200000);
		n = send(s->fd, head, s->in_body ? len : 20, MSG_NOSIGNAL);
		s->begun = n > 0;
	} else {
		n = send(s->fd, "x", 1, MSG_NOSIGNAL);
	}
	if (n > 0 || is_later())
		n = recv(s->fd, head, sizeof(head), 0);
	if (n > 0 || (n < 0 && is_later()))
		return;
	f->cut++;
	close(s->fd);
	s->fd = -1;
}

/* So many of them that each has its turn once a second. */
static void trickle_until(struct flood *f, uint64_t elapsed_ms)
{
	uint64_t until = f->slow_count * elapsed_ms / 1000;

	while (f->slow_at < until)
		trickle(f, &f->slow[f->slow_at++ % f->slow_count]);
}

/* ---- what is not HTTP ------------------------------------------------- */

static void throw_garbage(struct flood *f, uint64_t count)
{
	char bytes[GARBAGE_LEN];

	for (uint64_t i = 0; i < count; i++) {
		int *fd = &f->raw[f->thrown++ % GARBAGE_MAX];

		if (*fd >= 0)
			close(*fd);	/* it has had its time to answer */
		*fd = begin_connect(f, &f->garbage_to);
		if (*fd < 0)
			continue;
		fill(f, bytes, sizeof(bytes));
		/* On loopback the connection stands already. */
		(void)send(*fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	}
}

/* ---- the course of it ------------------------------------------------- */

static uint64_t due(uint64_t rate, uint64_t elapsed_ms, uint64_t *so_far)
{
	uint64_t all = rate * elapsed_ms / 1000, n = all - *so_far;

	*so_far = all;
	return n;
}

static void run(struct flood *f)
{
	uint64_t began = now_ms(), elapsed = 0;
	struct timespec tick = { .tv_nsec = TICK_MS * 1000000 };
	struct rusage used;

	while (!stopping) {
		nanosleep(&tick, NULL);
		elapsed = now_ms() - began;
		put_many(f, due(f->hellos, elapsed, &f->hellos_due), false);
		put_many(f, due(f->noise, elapsed, &f->noise_due), true);
		throw_garbage(f, due(f->garbage, elapsed, &f->garbage_due));
		for (unsigned i = 0; f->hellos + f->noise > 0 && i < FAST; i++)
			run_fast(f, &f->fast[i]);
		trickle_until(f, elapsed);
	}
	getrusage(RUSAGE_SELF, &used);
	printf("{\"seconds\": %.3f, \"sent\": %" PRIu64 ", \"unsent\": %" PRIu64
	    ", \"statuses\": {\"200\": %" PRIu64 ", \"404\": %" PRIu64
	    ", \"other\": %" PRIu64 "}, \"cut\": %" PRIu64 ", \"garbage\": %"
	    PRIu64 ", \"cpu_s\": %.2f}\n", (double)elapsed / 1000, f->sent,
	    f->unsent, f->ok, f->not_found, f->other, f->cut, f->thrown,
	    (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

/* The slow ones connect and begin, before anything is said. */
static int start(struct flood *f)
{
	f->slow = calloc(f->slow_count + 1, sizeof(*f->slow));
	if (f->slow == NULL ||
	    getrandom(&f->random, sizeof(f->random), 0) < 0)
		return -1;
	f->random |= 1;
	for (unsigned i = 0; i < FAST; i++)
		f->fast[i].fd = -1;
	for (unsigned i = 0; i < GARBAGE_MAX; i++)
		f->raw[i] = -1;
	for (uint64_t i = 0; i < f->slow_count; i++) {
		f->slow[i].fd = -1;
		f->slow[i].in_body = i % 2 == 0;
		trickle(f, &f->slow[i]);
		trickle(f, &f->slow[i]);
	}
	return 0;
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static bool parse(struct flood *f, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "from", required_argument, NULL, 'f' },
		{ "path", required_argument, NULL, 'p' },
		{ "hellos", required_argument, NULL, 'h' },
		{ "noise", required_argument, NULL, 'n' },
		{ "slow", required_argument, NULL, 's' },
		{ "garbage", required_argument, NULL, 'g' },
		{ "garbage-to", required_argument, NULL, 'G' },
		{ NULL, 0, NULL, 0 }
	};
	int c, at = 0;

	while ((c = getopt_long(argc, argv, "", long_options, &at)) != -1) {
		uint64_t *number = c == 'h' ? &f->hellos : c == 'n' ?
		    &f->noise : c == 's' ? &f->slow_count : &f->garbage;
		struct sockaddr_storage *address = c == 't' ? &f->to :
		    c == 'f' ? &f->from : c == 'G' ? &f->garbage_to : NULL;

		if (c == '?')
			return false;
		if (c == 'p')
			f->path = optarg;
		else if (address == NULL)
			*number = address_number("flood",
			    long_options[at].name, optarg);
		else if (address_parse("flood", optarg, address) != 0)
			return false;
	}
	return f->to.ss_family != 0 && f->from.ss_family == f->to.ss_family &&
	    (f->garbage == 0 || f->garbage_to.ss_family == f->from.ss_family);
}

int main(int argc, char **argv)
{
	static struct flood f = { .path = "/nrpc" };

	if (!parse(&f, argc, argv)) {
		fprintf(stderr, "usage: flood --to ADDRESS --from ADDRESS:0 "
		    "[--path PATH] [--hellos N]\n    [--noise N] [--slow N] "
		    "[--garbage N --garbage-to ADDRESS]\n");
		return 2;
	}
	raise_file_limit();
	signal(SIGTERM, on_term);
	if (start(&f) != 0) {
		perror("flood");
		return EXIT_FAILURE;
	}
	puts("flooding");
	fflush(stdout);
	run(&f);
	free(f.slow);
	return EXIT_SUCCESS;
}
