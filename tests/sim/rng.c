#include "config.h"

#include "tests/sim/rng.h"

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
	r->state = mix(mix(seed + 1) + stream * UINT64_C(0xd1342543de82ef95));
}

uint64_t rng_next(struct rng *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(r->state);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n == 0 ? 0 : rng_next(r) % n;
}

uint64_t rng_between(struct rng *r, uint64_t from, uint64_t to)
{
	return from + rng_below(r, to - from + 1);
}

bool rng_chance(struct rng *r, unsigned per_mille)
{
	return per_mille > 0 && rng_below(r, 1000) < per_mille;
}

uint64_t rng_size(struct rng *r, uint64_t max)
{
	unsigned bits = 0;

	while (bits < 63 && (UINT64_C(1) << bits) <= max)
		bits++;
	bits = (unsigned)rng_below(r, bits + 1);
	max = rng_below(r, max + 1);
	return max & ((UINT64_C(1) << bits) - 1);
}

uint64_t rng_pick(struct rng *r, const uint64_t *list, size_t count)
{
	return list[rng_below(r, count)];
}
