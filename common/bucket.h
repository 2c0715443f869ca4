/*
 * A token bucket: so many events a second over time, and a burst at once.
 * Reads no clock.
 */
#ifndef COMMON_BUCKET_H
#define COMMON_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_MAX 1000000u	/* the highest rate and burst */

struct bucket {
	uint64_t level;		/* private: thousandths of a token */
	uint64_t at_ms;		/* private: when that was so */
};

/* Full. */
void bucket_init(struct bucket *b, uint64_t burst, uint64_t now_ms);

/*
 * Take a token if there is one. The rate (at least 1 token per second) and
 * the burst may be others than the last time; the clock may not go backwards.
 */
bool bucket_take(struct bucket *b, uint64_t rate, uint64_t burst,
    uint64_t now_ms);

/* Would it be full now, so that it need not be remembered? */
bool bucket_is_full(const struct bucket *b, uint64_t rate, uint64_t burst,
    uint64_t now_ms);

#endif
