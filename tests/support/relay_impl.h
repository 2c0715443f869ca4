/*
 * What the parts of the relay share: relay.c has the start and the trouble,
 * relay_link.c the delay and the rate, relay_pair.c the connections.
 */
#ifndef TESTS_SUPPORT_RELAY_IMPL_H
#define TESTS_SUPPORT_RELAY_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

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

/* ---- relay_link.c ----------------------------------------------------- */

/* Something enters the link now, on the way from `side`. */
void relay_put_mark(struct pair *p, enum side side, enum mark_kind kind,
    size_t len);

/* Wake up when the first mark is due. */
void relay_arm(struct relay *r);
void relay_on_clock(uv_poll_t *poll, int status, int events);

/* ---- relay_pair.c ----------------------------------------------------- */

void relay_on_connection(uv_poll_t *poll, int status, int events);

/* A mark has reached the end of the link. */
void relay_deliver(struct mark *m, enum side side);

/* Let go of both sockets; with a reset, or after both halves have ended. */
void relay_kill_pair(struct pair *p, bool reset);

void relay_unref(struct pair *p);

#endif
