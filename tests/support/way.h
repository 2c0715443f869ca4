/*
 * Bytes on their way through the misbehaving proxy, in one direction: what has
 * come and waits, how much has gone on, and where it has to stop.
 */
#ifndef TESTS_SUPPORT_WAY_H
#define TESTS_SUPPORT_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#define WAY_NOWHERE UINT64_MAX	/* to stop at */

struct way {
	uint8_t *bytes;
	size_t start, len;	/* those that wait are [start, len) */
	size_t size;
	uint64_t done;		/* bytes that have gone on */
	uint64_t stop;		/* none beyond this one goes on */
	uv_timer_t timer;	/* its owner's, to open it again */
	bool shut;		/* nothing goes on while the timer runs */
};

void way_add(struct way *w, const void *data, size_t len);
void way_add_text(struct way *w, const char *text);

/* Bytes that wait. */
size_t way_waiting(const struct way *w);

/* Bytes that may go on now; w->bytes + w->start is where they are. */
size_t way_passable(const struct way *w);

/* So many of them have. */
void way_passed(struct way *w, size_t n);

/* Nothing passes for a while. */
void way_shut(struct way *w, uv_timer_cb then, uint64_t ms);

#endif
