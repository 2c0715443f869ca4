/* Times in microseconds, and what is said of many of them. */
#ifndef TESTS_BENCH_SAMPLES_H
#define TESTS_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	uint32_t *us;
	size_t count, size;
};

void samples_add(struct samples *s, uint64_t us);

/* "count": ..., "p50_us": ..., ... without braces, to standard output. */
void samples_print(struct samples *s);

#endif
