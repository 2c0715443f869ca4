#include "config.h"

#include "tests/fuzz/choices.h"

#include "common/wire.h"

#define SEEDS 48u
#define SEED_MAX 1536u		/* bytes */

uint8_t choose_byte(struct choices *c)
{
	if (c->left == 0)
		return 0;
	c->left--;
	return *c->p++;
}

uint64_t choose_below(struct choices *c, uint64_t n)
{
	uint64_t v = choose_byte(c);

	for (uint64_t reach = 256; reach < n; reach <<= 8)
		v = v << 8 | choose_byte(c);
	return v % n;
}

bool choose_chance(struct choices *c, unsigned n)
{
	/* The other way round, so that what is rare is not the first choice. */
	return 255u - choose_byte(c) < n;
}

uint64_t choose_number(struct choices *c)
{
	switch (choose_byte(c) % 8) {
	case 0:
	case 1:
		return choose_byte(c);
	case 2:
	case 3:
		return choose_below(c, UINT64_C(1) << 16);
	case 4:
		return choose_below(c, UINT64_C(1) << 32);
	case 5:
		return choose_below(c, UINT64_C(1) << 32) << 30;
	case 6:
		return (UINT64_C(1) << choose_below(c, 62)) -
		    choose_below(c, 2);
	default:
		return WIRE_VARINT_MAX - choose_below(c, 3);
	}
}

uint64_t choose_time(struct choices *c, unsigned n, uint64_t now_ms,
    uint64_t due_ms)
{
	if (choose_chance(c, n) && due_ms != UINT64_MAX && due_ms > now_ms)
		return due_ms;
	return now_ms + (choose_chance(c, 12) ? choose_below(c, 1000000) :
	    choose_below(c, 200));
}

void choices_seeds(void (*add)(const uint8_t *data, size_t len))
{
	uint8_t seed[SEED_MAX];
	uint32_t state = 1;

	for (size_t i = 0; i < SEEDS; i++) {
		size_t len = SEED_MAX * (i + 1) / SEEDS;

		for (size_t at = 0; at < len; at++) {
			state = state * 1664525u + 1013904223u;
			seed[at] = (uint8_t)(state >> 24);
		}
		add(seed, len);
	}
}
