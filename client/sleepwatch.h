/*
 * Tells when this machine has slept, or this process has not run for a while:
 * stopped by a signal, or starved. Knows nothing of what is done about it.
 *
 * What sleep is, is asked of the clocks: one of them stands still meanwhile
 * and another does not. sleepwatch_clocks is the seam between operating
 * systems; the rest is the same everywhere.
 */
#ifndef CLIENT_SLEEPWATCH_H
#define CLIENT_SLEEPWATCH_H

#include <stdint.h>

#include <uv.h>

struct sleepwatch;

struct sleepwatch_clocks {
	uint64_t awake_ms;	/* stands still while the machine sleeps */
	uint64_t always_ms;	/* does not */
};

enum sleepwatch_what {
	SLEEPWATCH_NOTHING,
	SLEEPWATCH_SLEPT,	/* the machine */
	SLEEPWATCH_STOPPED	/* this process only */
};

#define SLEEPWATCH_TICK_MS 1000u	/* looked at so often */
#define SLEEPWATCH_LEAST_MS 2000u	/* what is shorter hurts nobody */

void sleepwatch_clocks(struct sleepwatch_clocks *out);

/*
 * What has happened between two looks at the clocks, a tick apart if nothing
 * has, and how long it took. Clocks may also be set, in either direction.
 */
enum sleepwatch_what sleepwatch_judge(const struct sleepwatch_clocks *before,
    const struct sleepwatch_clocks *now, uint64_t *away_ms);

/* on_wake may come up to a tick after the wake. 0 or ERR_NOMEM. */
int sleepwatch_new(struct sleepwatch **out, uv_loop_t *loop,
    void (*on_wake)(void *ctx, enum sleepwatch_what what, uint64_t away_ms),
    void *ctx);
void sleepwatch_free(struct sleepwatch *w);

#endif
