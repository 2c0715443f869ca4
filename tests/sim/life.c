#include "config.h"

#include "tests/sim/life.h"

#include <inttypes.h>

#include "tests/sim/world.h"

#define CALM_MS 240000u		/* to deliver everything after the storm */
#define REST_MS 90000u		/* to come to rest after that */
#define IDLE_MS 180000u		/* how long the rest is watched */
#define GOODBYE_MS 20000u

/* What one kind of weather needs, to come again and again. */
struct weather {
	struct world *world;
	enum faults_event kind;
	struct rng rng;
};

static void strike(struct weather *h)
{
	struct world *w = h->world;
	uint64_t now = w->events.now_ms;

	switch (h->kind) {
	case FAULTS_CUT_ALL:
		trace_say(&w->trace, "all connections are cut");
		net_cut_all(&w->net);
		break;
	case FAULTS_BLACKHOLE:
		trace_say(&w->trace, "all connections go silent");
		net_blackhole(&w->net);
		break;
	case FAULTS_OUTAGE:
		trace_say(&w->trace, "the network is gone");
		net_outage(&w->net, rng_size(&h->rng,
		    w->faults.outage_max_ms));
		break;
	case FAULTS_REPLAY:
		net_replay(&w->net);
		break;
	case FAULTS_GARBAGE:
		net_garbage(&w->net);
		break;
	case FAULTS_RESTART:
		world_restart_gate(w, rng_size(&h->rng, 20000));
		break;
	case FAULTS_UPGRADE:
		world_upgrade_gate(w, rng_chance(&h->rng, 300));
		break;
	case FAULTS_HINT:
		lanes_network_changed(w->lanes, now);
		break;
	case FAULTS_KNOCK:
		lanes_knock(w->lanes, now);
		break;
	case FAULTS_KEEP:
		trace_say(&w->trace, "a proxy keeps other things");
		w->faults.path.hold_request = rng_chance(&h->rng, 500);
		w->faults.path.hold_response = rng_chance(&h->rng, 500);
		w->faults.path.more_ms = rng_chance(&h->rng, 300) ?
		    rng_size(&h->rng, 250) : 0;
		break;
	case FAULTS_EVENTS:
		break;
	}
}

static void on_weather(void *ctx)
{
	struct weather *h = ctx;
	struct world *w = h->world;

	if (!w->faults.stormy)
		return;
	strike(h);
	events_after(&w->events, rng_between(&h->rng, 1,
	    2 * w->faults.mean_ms[h->kind]), on_weather, h);
}

static void gather_storm(struct world *w, struct weather *all)
{
	for (unsigned k = 0; k < FAULTS_EVENTS; k++) {
		struct weather *h = &all[k];

		h->world = w;
		h->kind = (enum faults_event)k;
		rng_init(&h->rng, w->seed, 100 + k);
		if (w->faults.stormy && w->faults.mean_ms[k] > 0)
			events_after(&w->events, rng_below(&h->rng,
			    w->faults.mean_ms[k]), on_weather, h);
	}
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * More where windows are small: one of them crosses in a round trip. And for
 * those who take turns, one conversation after the other if need be.
 */
static uint64_t calm_ms(const struct world *w)
{
	const struct faults_path *p = &w->faults.path;
	uint64_t rtt_ms = 2 * (p->latency_ms + p->jitter_ms);
	uint64_t window = least(w->client.session.window_max,
	    w->server.session.window_max);

	return CALM_MS + apps_total(&w->apps) / window * rtt_ms +
	    apps_turns_ms(&w->apps, rtt_ms);
}

/* An idle session costs little. */
static bool watch_rest(struct world *w)
{
	uint64_t posts = w->net.posts, runs = w->runs;
	/*
	 * Three a minute, one that the storm's last exchange caused, and one
	 * that looks into the pause after bulk.
	 */
	uint64_t most = IDLE_MS / 20000 + 2;
	uint64_t patience = w->faults.path.silence_ms;

	most += 3 * (IDLE_MS / w->client.rekey_ms);
	if (patience > 0)
		most += 2 * (IDLE_MS / patience);
	if (!world_run(w, IDLE_MS))
		return false;
	/*
	 * Faults look like a proxy without patience, and some have little. The
	 * last of the storm's can come to light when what was held is over.
	 */
	if (w->net.failures > 0)
		most += IDLE_MS / 2700;	/* the shortest hold */
	if (w->net.posts - posts > most)
		trace_fail(&w->trace, "%" PRIu64 " exchanges in three idle "
		    "minutes", w->net.posts - posts);
	if (w->runs - runs > 10 * most)
		trace_fail(&w->trace, "an engine was run %" PRIu64 " times in "
		    "three idle minutes", w->runs - runs);
	return !w->trace.failed;
}

static bool is_gone(struct world *w)
{
	return lanes_is_over(w->lanes);
}

/* The client leaves, and the gateway forgets it. */
static bool say_goodbye(struct world *w)
{
	uint64_t failures = w->net.failures + w->net.open_calls;
	struct gate_stats st;

	w->leaving = w->apps.closing = true;
	lanes_close(w->lanes, w->events.now_ms);
	if (!world_wait(w, is_gone, GOODBYE_MS, "the goodbye"))
		return false;
	if (!world_run(w, 2 * GOODBYE_MS))
		return false;
	if (w->net.failures > failures)
		return true;		/* it got lost; linger settles that */
	gate_get_stats(w->gate, &st);
	if (st.sessions > 0 || st.streams > 0 || st.exchanges > 0 ||
	    w->net.open_calls > 0)
		trace_fail(&w->trace, "after the goodbye the gateway has %u "
		    "sessions, %u streams, %u exchanges", st.sessions,
		    st.streams, st.exchanges);
	return !w->trace.failed;
}

bool life_run(struct world *w)
{
	struct weather all[FAULTS_EVENTS];
	bool rough = faults_any(&w->faults);
	struct apps_conv *c;

	world_start(w);
	gather_storm(w, all);
	if (!world_run(w, w->faults.storm_ms))
		return false;
	trace_say(&w->trace, "the weather is fair from now on");
	w->faults.stormy = false;
	c = apps_add(&w->apps, w->events.now_ms + 100);
	c->client.script.total = c->server.script.total = 3000;
	if (!world_wait(w, world_is_over, calm_ms(w), "all conversations"))
		return false;
	apps_judge(&w->apps);
	if (!world_wait(w, world_is_idle, REST_MS, "rest") || !watch_rest(w))
		return false;
	if (!world_is_idle(w))
		trace_fail(&w->trace, "rest did not last");
	apps_judge(&w->apps);
	if (!rough && w->sessions != 1)
		trace_fail(&w->trace, "%" PRIu64 " sessions where nothing went "
		    "wrong", w->sessions);
	if (!w->trace.failed && w->seed % 2 == 0)
		return say_goodbye(w);
	return !w->trace.failed;
}
