#include "config.h"

#include "common/backoff.h"

void backoff_init(struct backoff *b, uint32_t base_ms, uint32_t cap_ms)
{
	b->base_ms = base_ms < cap_ms ? base_ms : cap_ms;
	b->cap_ms = cap_ms;
	backoff_reset(b);
}

void backoff_reset(struct backoff *b)
{
	b->next_ms = b->base_ms;
}

uint32_t backoff_next(struct backoff *b, uint32_t random)
{
	uint32_t whole = b->next_ms, half = whole / 2;
	uint64_t spread = (uint64_t)(whole - half) + 1;
	uint32_t step = half > 0 ? half : 1;	/* 1 ms must grow, too */

	b->next_ms = step < b->cap_ms - whole ? whole + step : b->cap_ms;
	/* A 32-bit fraction of the spread: no division, no bias to speak of. */
	return half + (uint32_t)(random * spread >> 32);
}
