/* Duplex lanes: what they save, and what a path that keeps bodies costs. */
#include "config.h"

#include "tests/sim/scenarios_impl.h"

#define LONG_TURNS 2000u
#define FLIP_MS 5000u		/* in the midst of the transactions */

/* So many exchanges beside those that stay open, of whatever kind. */
#define BESIDE 100u

static struct apps_conv *start(struct world *w, bool http2)
{
	struct apps_conv *c = scenarios_turns(w, 500);

	c->client.script.total =
	    UINT64_C(200) * LONG_TURNS;
	c->server.script.total =
	    UINT64_C(1024) * LONG_TURNS;
	w->faults.path.http2 = http2;
	world_start(w);
	return c;
}

static uint64_t streamed(const struct world *w)
{
	struct lanes_stats stats;

	lanes_get_stats(w->lanes, &stats);
	return stats.streamed;
}

static void costs_no_exchange(struct world *w, bool http2)
{
	struct apps_conv *c = start(w, http2);

	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "exchanges", w->net.posts, BESIDE);
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms, RTT_MS + 2);
	world_wait(w, world_is_idle, REST_MS, "rest");
}

static void transaction_costs_no_exchange(struct world *w)
{
	costs_no_exchange(w, false);
}

static void transaction_on_http2_costs_none(struct world *w)
{
	costs_no_exchange(w, true);
}

/* It is tried, and nobody waits for what is kept then. */
static void is_of_no_use(struct world *w)
{
	struct apps_conv *c = start(w, true);

	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "questions by a duplex lane", streamed(w), 0);
	scenarios_limit(w, "exchanges", w->net.posts, LONG_TURNS + 30);
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms, RTT_MS + 2);
}

static void kept(struct world *w, bool up, bool down)
{
	w->faults.path.hold_request = up;
	w->faults.path.hold_response = down;
	is_of_no_use(w);
}

static void kept_requests_cost_nobody_time(struct world *w)
{
	kept(w, true, false);
}

static void kept_responses_cost_nobody_time(struct world *w)
{
	kept(w, false, true);
}

static void waiting_for_more_costs_nobody_time(struct world *w)
{
	w->faults.path.more_ms = 40;
	is_of_no_use(w);
}

/* One question is repeated by other ways, and the rest go by them at once. */
static void begins_to_keep(struct world *w, bool up, bool down)
{
	struct apps_conv *c = start(w, true);
	uint64_t before;

	if (!world_run(w, FLIP_MS))
		return;
	before = streamed(w);
	if (before == 0)
		trace_fail(&w->trace, "no duplex lane is used");
	w->faults.path.hold_request = up;
	w->faults.path.hold_response = down;
	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms, 4 * RTT_MS);
	scenarios_limit(w, "ms for all", c->client.all_turns_ms,
	    LONG_TURNS * RTT_MS + 5 * RTT_MS);
	scenarios_limit(w, "questions by a duplex lane after that",
	    streamed(w) - before, 2);
	world_wait(w, world_is_idle, REST_MS, "rest");
}

static void requests_begin_to_be_kept(struct world *w)
{
	begins_to_keep(w, true, false);
}

static void responses_begin_to_be_kept(struct world *w)
{
	begins_to_keep(w, false, true);
}

const struct scenario scenarios_duplex[] = {
	{ "on a path that streams a transaction costs no exchange",
	    transaction_costs_no_exchange },
	{ "nor does one on HTTP/2", transaction_on_http2_costs_none },
	{ "a path that keeps requests costs nobody time",
	    kept_requests_cost_nobody_time },
	{ "nor does one that keeps responses",
	    kept_responses_cost_nobody_time },
	{ "nor does one that waits for more of a body",
	    waiting_for_more_costs_nobody_time },
	{ "a path that begins to keep requests costs one question its time",
	    requests_begin_to_be_kept },
	{ "so does one that begins to keep responses",
	    responses_begin_to_be_kept },
	{ NULL, NULL }
};
