/*
 * A client that is away for a while, asleep or without a network; and a gateway
 * that is replaced.
 */
#include "config.h"

#include "tests/sim/scenarios_impl.h"

#define BULK 16000000u		/* bytes each way */
#define WAKE_MS 2000u		/* in which everything goes on */
#define NEARLY_MS 5000u		/* before the gateway gives a client up */
#define HOUR_MS 3600000u

/* Both kinds of streams, in the midst of what they do. */
static struct apps_conv *begin(struct world *w)
{
	struct apps_conv *bulk = apps_add(&w->apps, 500);
	struct apps_conv *c = scenarios_turns(w, 500);

	bulk->client.script.total = bulk->server.script.total = BULK;
	w->faults.path.up_rate = w->faults.path.down_rate = 2000000;
	c->client.script.think_ms = 50;
	world_start(w);
	world_run(w, 4000);
	return c;
}

/* Someone's question is answered again in time, and all ends well. */
static void goes_on(struct world *w, struct apps_conv *c)
{
	uint64_t turns = c->client.turns;

	if (!world_run(w, WAKE_MS))
		return;
	if (c->client.turns <= turns)
		trace_fail(&w->trace, "no answer in %u ms", WAKE_MS);
	if (!scenarios_over(w))
		return;
	apps_judge(&w->apps);
	if (w->sessions != 1 || w->apps.lost > 0)
		trace_fail(&w->trace, "the session was lost");
}

static void sleep_costs_no_stream(struct world *w)
{
	struct apps_conv *c = begin(w);

	if (world_sleep(w, w->server.linger_ms - NEARLY_MS, false))
		goes_on(w, c);
}

static void stopped_clock_costs_no_stream(struct world *w)
{
	struct apps_conv *c = begin(w);

	if (world_sleep(w, w->server.linger_ms - NEARLY_MS, true))
		goes_on(w, c);
}

static void hours_of_sleep_cost_no_stream(struct world *w)
{
	struct apps_conv *c;

	w->server.linger_ms = 24 * HOUR_MS;
	c = begin(w);
	for (unsigned i = 0; i < 3; i++)
		if (!world_sleep(w, 7 * HOUR_MS, i % 2 == 0) ||
		    !world_run(w, 1000))
			return;
	goes_on(w, c);
}

/* Has Domino's side been told? */
static bool server_is_reset(struct world *w)
{
	for (struct apps_conv *c = w->apps.convs; c != NULL; c = c->next)
		if (c->server.state != APPS_WAS_RESET ||
		    c->server.code != STREAM_SESSION_LOST)
			return false;
	return w->session == NULL;
}

static void sleep_beyond_linger_ends_the_session(struct world *w)
{
	struct apps_conv *after;

	begin(w);
	if (!world_sleep(w, w->server.linger_ms + NEARLY_MS, false))
		return;
	if (!server_is_reset(w))
		trace_fail(&w->trace, "the gateway still keeps the session");
	if (!world_wait(w, world_is_up, WAKE_MS, "a new session"))
		return;
	for (struct apps_conv *c = w->apps.convs; c != NULL; c = c->next)
		if (c->client.state != APPS_WAS_RESET ||
		    c->client.code != STREAM_SESSION_LOST)
			trace_fail(&w->trace, "a client's end is not told");
	after = scenarios_turns(w, w->events.now_ms);
	if (scenarios_over(w) && after->client.state != APPS_DONE)
		trace_fail(&w->trace, "a new stream does not work");
	world_wait(w, world_is_idle, REST_MS, "rest");
}

/* New keys all the time, in the midst of everything. */
static void new_keys_cost_no_stream(struct world *w)
{
	struct apps_conv *c;

	w->client.rekey_ms = 200;
	c = begin(w);
	if (!world_sleep(w, 60000, false))
		return;
	goes_on(w, c);
}

/* A hello that is not answered uses nothing up, however many there are. */
static void vain_hellos_cost_no_stream(struct world *w)
{
	struct apps_conv *c;

	w->server.linger_ms = 24 * HOUR_MS;
	w->client.rekey_ms = 1000;
	c = begin(w);
	w->faults.stormy = true;
	w->faults.per_mille[FAULTS_STATUS] = 1000;
	if (!world_run(w, 6 * HOUR_MS))
		return;
	w->faults.stormy = false;
	goes_on(w, c);
}

/* The gateway is another program every now and then. */
static void upgrades_cost_no_stream(struct world *w)
{
	struct apps_conv *c = begin(w);

	for (unsigned i = 0; i < 20; i++) {
		world_upgrade_gate(w, i % 4 == 3);
		if (!world_run(w, 300))
			return;
	}
	goes_on(w, c);
}

/* The client is away meanwhile, and keys change. */
static void upgrades_while_away_cost_no_stream(struct world *w)
{
	struct apps_conv *c;

	w->client.rekey_ms = 5000;
	c = begin(w);
	for (unsigned i = 0; i < 8; i++) {
		world_upgrade_gate(w, i % 3 == 2);
		if (!world_sleep(w, 30000, false) || !world_run(w, 1000))
			return;
	}
	goes_on(w, c);
}

const struct scenario scenarios_away[] = {
	{ "a client asleep for just less than linger loses nothing",
	    sleep_costs_no_stream },
	{ "nor does one whose clock stood still meanwhile",
	    stopped_clock_costs_no_stream },
	{ "nights of sleep within a linger of a day lose nothing",
	    hours_of_sleep_cost_no_stream },
	{ "a client asleep for longer is told, as Domino is",
	    sleep_beyond_linger_ends_the_session },
	{ "a session goes on under new keys", new_keys_cost_no_stream },
	{ "hellos in vain use no session up", vain_hellos_cost_no_stream },
	{ "nor do upgrades of the gateway", upgrades_cost_no_stream },
	{ "nor do those while the client is away",
	    upgrades_while_away_cost_no_stream },
	{ NULL, NULL }
};
