/*
 * The virtual clock and what is due on it: a heap ordered by time, and by
 * age for the same time. Nothing is ever taken back: whoever registers an
 * event looks, when it comes, whether it still matters.
 */
#ifndef TESTS_SIM_EVENTS_H
#define TESTS_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct events_entry;

struct events {
	uint64_t now_ms;		/* read-only outside */
	struct events_entry *heap;	/* private */
	size_t count, size;		/* private */
	uint64_t serial;		/* private */
};

void events_init(struct events *e);
void events_fini(struct events *e);	/* what is due still does not run */

/* Call fn(ctx) at at_ms, or now if that is past. */
void events_at(struct events *e, uint64_t at_ms, void (*fn)(void *ctx),
    void *ctx);
void events_after(struct events *e, uint64_t wait_ms, void (*fn)(void *ctx),
    void *ctx);

/* When the next one is due; UINT64_MAX: there is none. */
uint64_t events_next_ms(const struct events *e);

/* Move the clock; never backwards, never past what is due. */
void events_advance(struct events *e, uint64_t to_ms);

/* Run the oldest one that is due now. False when there is none. */
bool events_run(struct events *e);

#endif
