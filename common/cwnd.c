#include "config.h"

#include "common/cwnd.h"

/*
 * Delay that bulk may cause: a seventh of the round trip, but at least 7 ms,
 * which nobody feels and a busy machine needs; and on a path that is uneven by
 * itself, as radio links are, twice as much as its round trips usually are above
 * the least. That is seen while hardly anything is under way.
 */
#define DELAY_MIN_MS 7u
#define DELAY_SHARE 7u
#define CALM_BYTES (2 * CWND_MIN)	/* hardly anything */
#define CALM_LIFE_MS 60000u
/*
 * Without a path's limit the window follows the rate, this far above it; at
 * first, when what comes after a lost packet can pass for a rate, less far.
 */
#define RATE_GAIN 4u
#define START_GAIN 2u
#define RATE_WINDOW_MIN CWND_FIRST
#define RATE_DECAY 16u		/* each probe forgets that part of it */
#define RTT_FLOOR_MS 4u
/* The round trip of an empty path is looked for again after: */
#define RTT_LIFE_MS 10000u
#define PROBE_MIN_MS 10u	/* between two probes, at least */
#define LATE_MS 50u		/* beyond three round trips, a probe is slow */
#define LATE_MAX 6u		/* and twice as late each time in a row */
#define IDLE_MS 500u		/* without bulk; then it begins anew */
#define FIRST_PROBE_MS 1000u	/* while no round trip is known */

void cwnd_init(struct cwnd *c)
{
	*c = (struct cwnd){
		.bytes = CWND_FIRST,
		.starting = true,
		.step = CWND_STEP_FIRST,
		.rtt_ms = UINT64_MAX,
		.before_ms = { UINT64_MAX, UINT64_MAX }
	};
}

/* Never so little that no probe goes out, and one record is all there is. */
static uint64_t usable(const struct cwnd *c)
{
	if (!c->draining)
		return c->bytes;
	return c->bytes / 2 > CWND_MIN ? c->bytes / 2 : CWND_MIN;
}

uint64_t cwnd_room(const struct cwnd *c, uint64_t flight)
{
	return flight < usable(c) ? usable(c) - flight : 0;
}

void cwnd_on_acked(struct cwnd *c, uint64_t flight, uint64_t bytes)
{
	if (flight >= usable(c) - usable(c) / 4)
		c->limits = true;
	c->acked += bytes;
}

static void set(struct cwnd *c, uint64_t bytes, uint64_t now_ms)
{
	c->bytes = bytes < CWND_MIN ? CWND_MIN : bytes;
	if (c->bytes > CWND_MAX)
		c->bytes = CWND_MAX;
	c->changed_ms = now_ms;
	c->limits = false;
}

void cwnd_on_silence(struct cwnd *c, uint64_t now_ms)
{
	c->starting = true;
	set(c, CWND_MIN, now_ms);
}

static void note_calm(struct cwnd *c, uint64_t rtt, uint64_t now_ms)
{
	if (c->calm > 0 && now_ms - c->calm_at_ms > CALM_LIFE_MS)
		c->calm = 0;
	if (c->bytes > CALM_BYTES)
		return;
	c->calm_ms[c->calm++ % CWND_CALM] = rtt;
	c->calm_at_ms = now_ms;
}

/*
 * How far the median of these is above the least. What is beyond half of the
 * path's own is a queue even so: on a slow path the least window makes one.
 */
static uint64_t unevenness(const struct cwnd *c)
{
	uint64_t sorted[CWND_CALM], most = c->rtt_ms / 2, usual;
	unsigned k;

	if (c->calm < CWND_CALM)
		return 0;
	for (unsigned i = 0; i < CWND_CALM; i++) {
		for (k = i; k > 0 && sorted[k - 1] > c->calm_ms[i]; k--)
			sorted[k] = sorted[k - 1];
		sorted[k] = c->calm_ms[i];
	}
	usual = sorted[CWND_CALM / 2] - sorted[0];
	if (most < DELAY_MIN_MS)
		most = DELAY_MIN_MS;
	return usual < most ? usual : most;
}

static uint64_t delay_allowed(const struct cwnd *c)
{
	uint64_t share = c->rtt_ms / DELAY_SHARE;

	return (share > DELAY_MIN_MS ? share : DELAY_MIN_MS) +
	    2 * unevenness(c);
}

/* What has arrived since the last probe says how fast the path is. */
static void note_rate(struct cwnd *c, uint64_t now_ms)
{
	uint64_t took = now_ms - c->rate_ms;
	uint64_t rate = took > 0 ? c->acked * 1000 / took : 0;

	c->rate -= c->rate / RATE_DECAY;
	if (rate > c->rate)
		c->rate = rate;
	c->rate_ms = now_ms;
	c->acked = 0;
}

/* Nothing is gained by more than this. */
static uint64_t ceiling(const struct cwnd *c)
{
	uint64_t rtt = c->rtt_ms > RTT_FLOOR_MS ? c->rtt_ms : RTT_FLOOR_MS;
	unsigned gain = c->starting ? START_GAIN : RATE_GAIN;
	uint64_t n = gain * c->rate / 1000 * rtt;

	return n > RATE_WINDOW_MIN ? n : RATE_WINDOW_MIN;
}

static void grow(struct cwnd *c, uint64_t delay, uint64_t now_ms)
{
	uint64_t n = c->bytes, top;

	top = ceiling(c);
	if (c->starting) {
		n += n;
	} else if (delay <= delay_allowed(c) / 2) {
		n += n / c->step;
		if (c->step > 1)
			c->step /= 2;
	} else {
		c->step = CWND_STEP_FIRST;
	}
	if (n > top)
		n = c->bytes > top ? c->bytes - c->bytes / 8 : top;
	set(c, n, now_ms);
}

/*
 * What is in the queue is taken back. When the path is full for the first
 * time, a window far too large may have found that out: then the rate says
 * best what fits.
 */
static void shrink(struct cwnd *c, uint64_t rtt, uint64_t now_ms)
{
	uint64_t wanted = c->rtt_ms + delay_allowed(c) / 2, fits;
	uint64_t n = c->bytes * wanted / rtt;

	fits = c->rate * wanted / 1000;
	if (n < c->bytes / 2)
		n = c->bytes / 2;
	if (c->starting && fits < n)
		n = fits;
	c->starting = false;
	c->step = CWND_STEP_FIRST;
	set(c, n, now_ms);
}

/*
 * Another sender's queue, or our own, may have passed for the path's own
 * delay: with half the window, for one round trip, it shows.
 */
static bool look_for_rtt(struct cwnd *c, uint64_t rtt, uint64_t now_ms)
{
	if (rtt <= c->rtt_ms) {
		c->rtt_ms = rtt;
		c->rtt_at_ms = now_ms;
		c->draining = false;
		return false;
	}
	if (c->draining && c->probe_ms >= c->drain_ms + c->rtt_ms) {
		c->rtt_ms = rtt;
		c->rtt_at_ms = now_ms;
		c->draining = false;
		c->changed_ms = now_ms;
		c->limits = false;
	} else if (!c->draining && c->limits &&
	    now_ms - c->rtt_at_ms > RTT_LIFE_MS) {
		c->draining = true;
		c->drain_ms = now_ms;
	}
	return c->draining;
}

/*
 * One probe may have met a lost packet, or a connection that had to be opened
 * first. Three in a row that are slow have met a queue.
 */
static void on_sample(struct cwnd *c, uint64_t rtt, uint64_t now_ms)
{
	uint64_t least = rtt;

	note_rate(c, now_ms);
	note_calm(c, rtt, now_ms);
	for (unsigned i = 0; i < CWND_SAMPLES; i++)
		if (c->before_ms[i] < least)
			least = c->before_ms[i];
	c->before_ms[c->samples++ % CWND_SAMPLES] = rtt;
	if (!c->limits || c->probe_ms < c->changed_ms)
		return;
	if (least > c->rtt_ms + delay_allowed(c))
		shrink(c, least, now_ms);
	else if (rtt <= c->rtt_ms + delay_allowed(c))
		grow(c, rtt - c->rtt_ms, now_ms);
}

void cwnd_on_probe(struct cwnd *c, uint64_t now_ms)
{
	uint64_t rtt = now_ms - c->probe_ms;

	if (!c->probing)
		return;
	c->probing = false;
	c->late = 0;
	if (!look_for_rtt(c, rtt, now_ms))
		on_sample(c, rtt, now_ms);
}

/* So long that the last probe must have been lost, or met a long queue. */
static bool is_late(const struct cwnd *c, uint64_t now_ms)
{
	uint64_t patience = c->rtt_ms == UINT64_MAX ? FIRST_PROBE_MS :
	    3 * c->rtt_ms + LATE_MS;

	return now_ms - c->probe_ms >= patience << c->late;
}

bool cwnd_wants_probe(struct cwnd *c, uint64_t flight, uint64_t now_ms)
{
	uint64_t pause = c->rtt_ms == UINT64_MAX ? 0 : c->rtt_ms / 2;

	if (flight < CWND_MIN)
		return false;
	if (now_ms - c->active_ms > IDLE_MS) {	/* no rate was measured */
		c->rate_ms = now_ms;
		c->acked = 0;
	}
	c->active_ms = now_ms;
	if (pause < PROBE_MIN_MS)
		pause = PROBE_MIN_MS;
	/* What is beyond a window that has shrunk is still in the queue. */
	if (!c->probing)
		return flight <= c->bytes + CWND_MIN &&
		    now_ms - c->probe_ms >= pause;
	if (!is_late(c, now_ms))
		return false;
	c->probing = false;
	if (c->late < LATE_MAX)
		c->late++;
	if (c->rtt_ms != UINT64_MAX)
		on_sample(c, now_ms - c->probe_ms, now_ms);
	return true;
}

void cwnd_on_probe_sent(struct cwnd *c, uint64_t now_ms)
{
	c->probing = true;
	c->probe_ms = now_ms;
}
