#include "config.h"

#include "client/sleepwatch.h"

#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
	struct timespec ts;

	/* Fails only for clocks that there are not; Linux has both. */
	if (clock_gettime(clock, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void sleepwatch_clocks(struct sleepwatch_clocks *out)
{
	out->awake_ms = read_ms(CLOCK_MONOTONIC);
	out->always_ms = read_ms(CLOCK_BOOTTIME);
}
