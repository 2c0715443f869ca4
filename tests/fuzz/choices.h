/*
 * A fuzz input as a sequence of choices: each takes the next bytes, and once
 * they are used up every choice is the first one.
 */
#ifndef TESTS_FUZZ_CHOICES_H
#define TESTS_FUZZ_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
	const uint8_t *p;
	size_t left;
};

/* One byte. */
uint8_t choose_byte(struct choices *c);

/* A number below n; 1 <= n <= 2^32. */
uint64_t choose_below(struct choices *c, uint64_t n);

/* True for n of 256. */
bool choose_chance(struct choices *c, unsigned n);

/* Any number that a varint can hold, small and very large ones mostly. */
uint64_t choose_number(struct choices *c);

/* A later time: for n of 256 due_ms, if that is to come; else any. */
uint64_t choose_time(struct choices *c, unsigned n, uint64_t now_ms,
    uint64_t due_ms);

/*
 * Inputs of noise for fuzz_seeds(): where every byte is a choice, they reach
 * far.
 */
void choices_seeds(void (*add)(const uint8_t *data, size_t len));

#endif
