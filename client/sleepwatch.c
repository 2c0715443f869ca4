#include "config.h"

#include "client/sleepwatch.h"

#include <stdlib.h>

#include "common/err.h"

struct sleepwatch {
	void (*on_wake)(void *ctx, enum sleepwatch_what what,
	    uint64_t away_ms);
	void *ctx;
	struct sleepwatch_clocks before;
	uv_timer_t timer;
};

enum sleepwatch_what sleepwatch_judge(const struct sleepwatch_clocks *before,
    const struct sleepwatch_clocks *now, uint64_t *away_ms)
{
	uint64_t awake = now->awake_ms - before->awake_ms;
	uint64_t always = now->always_ms - before->always_ms;

	/* A clock that was set back tells nothing. */
	if (now->always_ms < before->always_ms)
		always = awake;
	if (always > awake && always - awake >= SLEEPWATCH_LEAST_MS) {
		*away_ms = always - awake;
		return SLEEPWATCH_SLEPT;
	}
	if (awake >= SLEEPWATCH_TICK_MS + SLEEPWATCH_LEAST_MS) {
		*away_ms = awake - SLEEPWATCH_TICK_MS;
		return SLEEPWATCH_STOPPED;
	}
	return SLEEPWATCH_NOTHING;
}

static void on_tick(uv_timer_t *timer)
{
	struct sleepwatch *w = timer->data;
	struct sleepwatch_clocks before = w->before;
	enum sleepwatch_what what;
	uint64_t away_ms;

	sleepwatch_clocks(&w->before);
	what = sleepwatch_judge(&before, &w->before, &away_ms);
	if (what != SLEEPWATCH_NOTHING)
		w->on_wake(w->ctx, what, away_ms);
}

int sleepwatch_new(struct sleepwatch **out, uv_loop_t *loop,
    void (*on_wake)(void *ctx, enum sleepwatch_what what, uint64_t away_ms),
    void *ctx)
{
	struct sleepwatch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ERR_NOMEM;
	w->on_wake = on_wake;
	w->ctx = ctx;
	sleepwatch_clocks(&w->before);
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	uv_timer_start(&w->timer, on_tick, SLEEPWATCH_TICK_MS,
	    SLEEPWATCH_TICK_MS);
	*out = w;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void sleepwatch_free(struct sleepwatch *w)
{
	if (w != NULL)
		uv_close((uv_handle_t *)&w->timer, on_closed);
}
