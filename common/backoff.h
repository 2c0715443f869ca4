/*
 * How long to wait before the next attempt: grows by half each time, jittered,
 * capped. No clock and no randomness of its own.
 */
#ifndef COMMON_BACKOFF_H
#define COMMON_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint32_t base_ms;	/* the first wait */
	uint32_t cap_ms;	/* no wait is longer */
	uint32_t next_ms;	/* private */
};

void backoff_init(struct backoff *b, uint32_t base_ms, uint32_t cap_ms);

/*
 * The wait before the next attempt: uniformly between half and the whole of
 * the current value ("equal jitter"); `random` is any 32 random bits.
 */
uint32_t backoff_next(struct backoff *b, uint32_t random);

/* It worked, or the network changed: begin at base_ms again. */
void backoff_reset(struct backoff *b);

#endif
