#include "config.h"

#include "tests/bench/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT32_C(0x6e727063)
#define BLOCK 1048573u		/* a prime */
#define PIECE 262144u		/* sent or received in one call */
#define TURN 4u			/* pieces, then others have their turn */

static uint8_t block[BLOCK + PIECE];
static uint8_t scratch[PIECE];

void die(const char *fmt, ...)
{
	va_list ap;

	fputs("load: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void talk_init(void)
{
	uint64_t x = UINT64_C(0x2545f4914f6cdd1d);

	for (size_t i = 0; i < BLOCK; i++) {	/* xorshift64 */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		block[i] = (uint8_t)(x >> 24);
	}
	memcpy(block + BLOCK, block, PIECE);
}

static const uint8_t *pattern(uint64_t seed, uint64_t at)
{
	return block + (seed % BLOCK + at % BLOCK) % BLOCK;
}

static size_t piece(uint64_t left)
{
	return left < PIECE ? (size_t)left : PIECE;
}

static int failed(const struct talk *t, const char *what)
{
	if (!t->forgiving)
		fprintf(stderr, "load: connection %s: %s: %s\n", t->name,
		    what, strerror(errno));
	return -1;
}

void talk_ask(struct talk *t, uint64_t up, uint64_t down, uint64_t seed)
{
	uint32_t magic = MAGIC;

	memcpy(t->head, &magic, 4);
	memset(t->head + 4, 0, 4);
	memcpy(t->head + 8, &up, 8);
	memcpy(t->head + 16, &down, 8);
	memcpy(t->head + 24, &seed, 8);
	t->head_at = 0;
	t->out_at = 0;
	t->out_end = up - TALK_HEAD;
	t->out_seed = seed;
	t->in_at = 0;
	t->in_end = down;
	t->in_seed = seed + 1;
}

bool talk_is_sending(const struct talk *t)
{
	return t->head_at < TALK_HEAD || t->out_at < t->out_end;
}

bool talk_is_done(const struct talk *t)
{
	return !talk_is_sending(t) && t->in_at == t->in_end;
}

/* Send as much of data as goes; what was sent, 0, or -1. */
static ssize_t put(struct talk *t, const void *data, size_t len, int flags)
{
	ssize_t n = send(t->fd, data, len, MSG_NOSIGNAL | flags);

	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return failed(t, "cannot send");
}

static int send_pattern(struct talk *t)
{
	for (unsigned i = 0; i < TURN && t->out_at < t->out_end; i++) {
		size_t len = piece(t->out_end - t->out_at);
		ssize_t n = put(t, pattern(t->out_seed, t->out_at), len, 0);

		if (n < 0)
			return -1;
		t->out_at += (uint64_t)n;
		if ((size_t)n < len)
			break;
	}
	return 0;
}

int talk_send(struct talk *t)
{
	/* A small request leaves in one piece, as Notes' do. */
	if (t->head_at == 0 && t->out_end <= 16384) {
		uint8_t whole[TALK_HEAD + 16384];
		ssize_t n;

		memcpy(whole, t->head, TALK_HEAD);
		memcpy(whole + TALK_HEAD, pattern(t->out_seed, 0), t->out_end);
		n = put(t, whole, TALK_HEAD + t->out_end, 0);
		if (n < 0)
			return -1;
		t->head_at = (size_t)n < TALK_HEAD ? (size_t)n : TALK_HEAD;
		t->out_at = (uint64_t)n - t->head_at;
	}
	if (t->head_at < TALK_HEAD) {
		ssize_t n = put(t, t->head + t->head_at,
		    TALK_HEAD - t->head_at, MSG_MORE);

		if (n < 0)
			return -1;
		t->head_at += (size_t)n;
		if (t->head_at < TALK_HEAD)
			return 0;
	}
	return send_pattern(t);
}

/* Receive up to len bytes; what came, 0 for nothing now, or -1. */
static ssize_t get(struct talk *t, void *to, size_t len)
{
	ssize_t n = recv(t->fd, to, len, 0);

	if (n > 0)
		return n;
	if (n == 0) {
		t->ended = true;
		return 0;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return failed(t, "cannot receive");
}

static int receive_pattern(struct talk *t)
{
	for (unsigned i = 0; i < TURN && t->in_at < t->in_end; i++) {
		size_t len = piece(t->in_end - t->in_at);
		ssize_t n = get(t, scratch, len);

		if (n < 0)
			return -1;
		if (n > 0 && memcmp(scratch, pattern(t->in_seed, t->in_at),
		    (size_t)n) != 0) {
			fprintf(stderr, "load: connection %s: wrong bytes "
			    "near offset %llu\n", t->name,
			    (unsigned long long)t->in_at);
			t->wrong = true;
			return -1;
		}
		t->in_at += (uint64_t)n;
		if ((size_t)n < len)
			return 0;
	}
	return 0;
}

int talk_receive(struct talk *t)
{
	return receive_pattern(t);
}

/* The request's head is whole: what follows, and what is to be answered. */
static int understand(struct talk *t)
{
	uint32_t magic;
	uint64_t up, seed;

	memcpy(&magic, t->head, 4);
	memcpy(&up, t->head + 8, 8);
	memcpy(&t->out_end, t->head + 16, 8);
	memcpy(&seed, t->head + 24, 8);
	if (magic != MAGIC || up < TALK_HEAD) {
		fprintf(stderr, "load: connection %s: wrong bytes in the head "
		    "of a request\n", t->name);
		t->wrong = true;
		return -1;
	}
	t->in_at = 0;
	t->in_end = up - TALK_HEAD;
	t->in_seed = seed;
	t->out_at = 0;
	t->out_seed = seed + 1;
	return 0;
}

int talk_serve(struct talk *t)
{
	for (;;) {
		if (t->head_at < TALK_HEAD) {
			ssize_t n = get(t, t->head + t->head_at,
			    TALK_HEAD - t->head_at);

			if (n < 0)
				return -1;
			t->head_at += (size_t)n;
			if (t->head_at < TALK_HEAD)
				return 0;
			if (understand(t) != 0)
				return -1;
		}
		if (receive_pattern(t) != 0)
			return -1;
		if (t->in_at < t->in_end)
			return 0;
		if (send_pattern(t) != 0)
			return -1;
		if (t->out_at < t->out_end)
			return 0;
		t->head_at = 0;
	}
}

/* ---- sockets ---------------------------------------------------------- */

static struct sockaddr_in parse(const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	char text[64];
	char *colon;

	snprintf(text, sizeof(text), "%s", address);
	colon = strrchr(text, ':');
	if (colon != NULL)
		*colon = '\0';
	if (colon == NULL || inet_pton(AF_INET, text, &in.sin_addr) != 1)
		die("%s: ADDRESS:PORT is needed", address);
	in.sin_port = htons((uint16_t)atoi(colon + 1));
	return in;
}

static int prepare(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

int talk_connect(const char *address)
{
	struct sockaddr_in in = parse(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);

	if (fd < 0)
		die("cannot make a socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0 &&
	    errno != EINPROGRESS)
		die("cannot connect to %s: %s", address, strerror(errno));
	return prepare(fd);
}

int talk_listen(const char *address, unsigned *port)
{
	struct sockaddr_in in = parse(address);
	socklen_t len = sizeof(in);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("cannot make a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    listen(fd, 1024) != 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) != 0)
		die("cannot listen on %s: %s", address, strerror(errno));
	*port = ntohs(in.sin_port);
	return prepare(fd);
}
