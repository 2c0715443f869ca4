/*
 * Random numbers by seed (splitmix64): the same on every machine. Not for
 * keys.
 */
#ifndef TESTS_SIM_RNG_H
#define TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;		/* private */
};

/* Two different streams of one seed are independent of one another. */
void rng_init(struct rng *r, uint64_t seed, uint64_t stream);

uint64_t rng_next(struct rng *r);

/* 0..n-1; 0 when n is 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

/* from..to, both included. */
uint64_t rng_between(struct rng *r, uint64_t from, uint64_t to);

/* True per_mille times in a thousand. */
bool rng_chance(struct rng *r, unsigned per_mille);

/* 0..max, small numbers as likely as large ones: uniform in its magnitude. */
uint64_t rng_size(struct rng *r, uint64_t max);

/* One of the count numbers at list. */
uint64_t rng_pick(struct rng *r, const uint64_t *list, size_t count);

#endif
