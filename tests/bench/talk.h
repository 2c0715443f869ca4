/*
 * The bench's own protocol on one TCP connection: a request of some length is
 * answered by an answer of a length that the request names, and every byte of
 * both is compared. Knows sockets, no event loop and no scenario.
 *
 * A request is a head of TALK_HEAD bytes and a pattern; an answer is only a
 * pattern. Patterns are pieces of one block of random-looking bytes, whose
 * length is prime, beginning where the seed says.
 */
#ifndef TESTS_BENCH_TALK_H
#define TESTS_BENCH_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALK_HEAD 32u

/* One end of a connection: what is still to be sent and received. */
struct talk {
	int fd;
	const char *name;	/* for messages; borrowed */
	bool forgiving;		/* a connection that fails is no error */
	uint8_t head[TALK_HEAD];
	size_t head_at;		/* of the head, sent or received */
	uint64_t out_at, out_end, out_seed;	/* the pattern's */
	uint64_t in_at, in_end, in_seed;
	bool wrong;		/* a byte differed; it has been said */
	bool ended;		/* the other end has closed */
};

/* Call once before anything else. */
void talk_init(void);

/* Begin a request of up bytes (at least TALK_HEAD) for an answer of down. */
void talk_ask(struct talk *t, uint64_t up, uint64_t down, uint64_t seed);

/*
 * Move what can be moved, without waiting. 0; or -1 when the connection
 * failed or a byte was wrong: a sentence has gone to standard error.
 */
int talk_send(struct talk *t);
int talk_receive(struct talk *t);

bool talk_is_sending(const struct talk *t);
bool talk_is_done(const struct talk *t);	/* the answer is complete */

/* The other role: take a request; when it is whole, begin the answer. */
int talk_serve(struct talk *t);

/* Sockets: non-blocking, without Nagle. die() with a sentence on failure. */
int talk_connect(const char *address);		/* "ADDRESS:PORT" */
int talk_listen(const char *address, unsigned *port);

__attribute__((noreturn, format(printf, 1, 2)))
void die(const char *fmt, ...);

uint64_t now_us(void);

#endif
