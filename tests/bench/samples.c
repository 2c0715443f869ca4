#include "config.h"

#include "tests/bench/samples.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/talk.h"

void samples_add(struct samples *s, uint64_t us)
{
	if (s->count == s->size) {
		s->size = s->size > 0 ? 2 * s->size : 4096;
		s->us = realloc(s->us, s->size * sizeof(*s->us));
		if (s->us == NULL)
			die("out of memory");
	}
	s->us[s->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t share(const struct samples *s, double p)
{
	return s->us[(size_t)(p * (double)(s->count - 1))];
}

void samples_print(struct samples *s)
{
	uint64_t sum = 0;

	printf("\"count\": %zu", s->count);
	if (s->count == 0)
		return;
	qsort(s->us, s->count, sizeof(*s->us), compare);
	for (size_t i = 0; i < s->count; i++)
		sum += s->us[i];
	printf(", \"mean_us\": %.1f, \"p50_us\": %u, \"p90_us\": %u, "
	    "\"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u",
	    (double)sum / (double)s->count, share(s, 0.5), share(s, 0.9),
	    share(s, 0.99), share(s, 0.999), s->us[s->count - 1]);
}
