#include "config.h"

#include "common/bucket.h"

#define TOKEN 1000u	/* so that a rate per second is one per millisecond */

void bucket_init(struct bucket *b, uint64_t burst, uint64_t now_ms)
{
	b->level = burst * TOKEN;
	b->at_ms = now_ms;
}

static uint64_t level(const struct bucket *b, uint64_t rate, uint64_t burst,
    uint64_t now_ms)
{
	uint64_t full = burst * TOKEN, passed = now_ms - b->at_ms;

	if (b->level >= full || passed >= full)
		return full;
	return passed * rate < full - b->level ? b->level + passed * rate :
	    full;
}

bool bucket_take(struct bucket *b, uint64_t rate, uint64_t burst,
    uint64_t now_ms)
{
	b->level = level(b, rate, burst, now_ms);
	b->at_ms = now_ms;
	if (b->level < TOKEN)
		return false;
	b->level -= TOKEN;
	return true;
}

bool bucket_is_full(const struct bucket *b, uint64_t rate, uint64_t burst,
    uint64_t now_ms)
{
	return level(b, rate, burst, now_ms) == burst * TOKEN;
}
