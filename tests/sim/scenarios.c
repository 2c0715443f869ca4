#include "config.h"

#include "tests/sim/scenarios_impl.h"

#include <inttypes.h>
#include <stdio.h>

#define WARM_UP 12u	/* exchanges for hello, parking and farewell */
#define BULK 16000000u	/* bytes */
#define FAST 10000000u	/* bytes a second */
#define SLOW 80000u
#define SLOW_FROM_MS 1500u
#define SLOW_MS 20000u

struct apps_conv *scenarios_turns(struct world *w, uint64_t at_ms)
{
	struct apps_conv *c = apps_add(&w->apps, at_ms);

	c->client.script.turn = c->server.script.other_turn = 200;
	c->server.script.turn = c->client.script.other_turn = 1024;
	c->client.script.total = UINT64_C(200) * TURNS;
	c->server.script.total = UINT64_C(1024) * TURNS;
	return c;
}

void scenarios_limit(struct world *w, const char *what, uint64_t value,
    uint64_t most)
{
	trace_say(&w->trace, "%s: %" PRIu64, what, value);
	if (value > most)
		trace_fail(&w->trace, "%s: %" PRIu64 ", at most %" PRIu64
		    " expected", what, value, most);
}

bool scenarios_over(struct world *w)
{
	return world_wait(w, world_is_over, PLENTY_MS, "all conversations");
}

static void transaction_costs_one_exchange(struct world *w)
{
	struct apps_conv *c = scenarios_turns(w, 500);

	w->client.duplex_after = 0;
	world_start(w);
	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "exchanges", w->net.posts, TURNS + WARM_UP);
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms, RTT_MS + 2);
}

static void transaction_waits_in_its_exchange(struct world *w)
{
	struct apps_conv *c = scenarios_turns(w, 500);

	c->server.script.think_ms = 40;
	w->client.duplex_after = 0;
	world_start(w);
	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "exchanges", w->net.posts, TURNS + WARM_UP);
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms,
	    RTT_MS + 40 + 2);
}

static void slow_user_costs_two_exchanges(struct world *w)
{
	struct apps_conv *c = scenarios_turns(w, 500);

	c->client.script.think_ms = 300;
	w->client.duplex_after = 0;
	world_start(w);
	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "exchanges", w->net.posts, 2 * TURNS + WARM_UP);
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms, RTT_MS + 2);
}

static void transactions_side_by_side(struct world *w)
{
	struct apps_conv *c[4];

	for (unsigned i = 0; i < 4; i++)
		c[i] = scenarios_turns(w, 500 + 7 * i);
	w->client.duplex_after = 0;
	world_start(w);
	if (!scenarios_over(w))
		return;
	scenarios_limit(w, "exchanges", w->net.posts, 4 * TURNS + 4 * WARM_UP);
	for (unsigned i = 0; i < 4; i++)
		scenarios_limit(w, "ms for one", c[i]->client.worst_turn_ms,
		    RTT_MS + 5);
}

/* A transaction of its own beside this much up and down. */
static void beside_bulk(struct world *w, uint64_t up, uint64_t down)
{
	struct apps_conv *bulk = apps_add(&w->apps, 500);
	/* Later, when the connections are there that the bulk needs. */
	struct apps_conv *c = scenarios_turns(w, 1500);

	w->faults.path.chunk_max = 8192;	/* connections share the link */
	bulk->client.script.total = up;
	bulk->server.script.total = down;
	world_start(w);
	if (!scenarios_over(w))
		return;
	/* A new connection takes two round trips before it is of use. */
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms,
	    3 * RTT_MS + 10);
	scenarios_limit(w, "ms for all", c->client.all_turns_ms,
	    TURNS * (RTT_MS + RTT_MS / 4));
}

static void transaction_beside_download(struct world *w)
{
	w->faults.path.down_rate = 5000000;
	beside_bulk(w, 0, BULK);
}

static void transaction_beside_upload(struct world *w)
{
	w->faults.path.up_rate = 5000000;
	beside_bulk(w, BULK, 0);
}

/* A record takes a fifth of a second: longer than a pause between answers. */
static void beside_slow_bulk(struct world *w, uint64_t up, uint64_t down)
{
	struct apps_conv *bulk = apps_add(&w->apps, 500);
	/* Later, when the first window has been found to be too large. */
	struct apps_conv *c = scenarios_turns(w, 20000);

	w->faults.path.chunk_max = 1460;
	w->faults.path.up_rate = w->faults.path.down_rate = SLOW;
	bulk->client.script.total = up;
	bulk->server.script.total = down;
	world_start(w);
	if (scenarios_over(w))
		scenarios_limit(w, "ms for all", c->client.all_turns_ms,
		    TURNS * 14 * RTT_MS);
}

static void transaction_beside_slow_download(struct world *w)
{
	beside_slow_bulk(w, 0, BULK);
}

static void transaction_beside_slow_upload(struct world *w)
{
	beside_slow_bulk(w, BULK, 0);
}

/* How long a transfer takes, beyond what the rate of the path explains. */
static void transfer(struct world *w, uint64_t up, uint64_t down,
    uint64_t most_ms)
{
	struct apps_conv *c = apps_add(&w->apps, 500);

	c->client.script.total = up;
	c->server.script.total = down;
	/* The client's end is over when everything has arrived there. */
	c->server.script.end_after_end = up > 0;
	world_start(w);
	if (scenarios_over(w))
		scenarios_limit(w, "ms", c->ended_ms - 500, most_ms);
}

static void download_uses_the_path(struct world *w)
{
	w->faults.path.down_rate = 10000000;
	transfer(w, 0, BULK, 3000);
}

static void upload_uses_the_path(struct world *w)
{
	w->faults.path.up_rate = 10000000;
	transfer(w, BULK, 0, 3000);
}

static void upload_uses_the_path_on_http2(struct world *w)
{
	w->faults.path.http2 = true;
	w->faults.path.up_rate = 10000000;
	transfer(w, BULK, 0, 3000);
}

static void upload_over_two_connections(struct world *w)
{
	w->client.lanes = 2;
	w->faults.path.up_rate = 10000000;
	transfer(w, BULK, 0, 5000);
}

static void upload_over_three_connections(struct world *w)
{
	w->client.lanes = 3;
	w->faults.path.up_rate = 10000000;
	transfer(w, BULK, 0, 5000);
}

/* The window has been at its least, and the path's own delay is long ago. */
static void download_after_a_slow_time(struct world *w)
{
	struct apps_conv *c = apps_add(&w->apps, 500);

	c->server.script.total = BULK;
	w->faults.path.latency_ms = 1;
	w->faults.path.down_rate = FAST;
	world_start(w);
	if (!world_run(w, SLOW_FROM_MS))
		return;
	w->net.down.rate = FAST / 100;
	if (!world_run(w, SLOW_MS))
		return;
	w->net.down.rate = FAST;
	if (scenarios_over(w))
		scenarios_limit(w, "ms", c->ended_ms,
		    SLOW_FROM_MS + SLOW_MS + 3000);
}

static void idle_costs_three_exchanges_a_minute(struct world *w)
{
	uint64_t posts;

	world_start(w);
	if (!world_wait(w, world_is_idle, REST_MS, "rest"))
		return;
	posts = w->net.posts;
	if (world_run(w, PLENTY_MS))
		scenarios_limit(w, "exchanges in ten minutes",
		    w->net.posts - posts, 30);
}

static void restart_is_over_in_two_seconds(struct world *w)
{
	struct apps_conv *before = scenarios_turns(w, 100), *after;

	before->client.script.think_ms = 50;
	world_start(w);
	if (!world_run(w, 2000))
		return;
	world_restart_gate(w, 10000);
	if (!world_run(w, 10000) ||
	    !world_wait(w, world_is_up, 2000, "a new session"))
		return;
	if (before->client.state != APPS_WAS_RESET ||
	    before->client.code != STREAM_SESSION_LOST)
		trace_fail(&w->trace, "the old stream is not reset");
	after = scenarios_turns(w, 0);
	if (scenarios_over(w) && after->client.state != APPS_DONE)
		trace_fail(&w->trace, "a new stream does not work");
}

/* A stream in both directions that one end resets in the midst of it. */
static void reset_travels(struct world *w, bool from_client)
{
	struct apps_conv *c = apps_add(&w->apps, 500);
	struct apps_end *e = from_client ? &c->client : &c->server;

	c->client.script.total = c->server.script.total = BULK;
	e->script.reset_after = 300000;
	world_start(w);
	if (!world_wait(w, world_is_over, 3000, "the reset at both ends"))
		return;
	apps_judge(&w->apps);
	if (e->state != APPS_RESET)
		trace_fail(&w->trace, "nothing was reset");
}

static void client_reset_travels(struct world *w)
{
	reset_travels(w, true);
}

static void server_reset_travels(struct world *w)
{
	reset_travels(w, false);
}

static void empty_streams_leave_nothing(struct world *w)
{
	for (unsigned i = 0; i < 500; i++)
		apps_add(&w->apps, 500 + i);
	world_start(w);
	if (!scenarios_over(w))
		return;
	apps_judge(&w->apps);
	world_wait(w, world_is_idle, REST_MS, "rest");
}

static void many_streams_share(struct world *w)
{
	for (unsigned i = 0; i < 200; i++) {
		struct apps_conv *c = apps_add(&w->apps, 500);

		c->client.script.total = c->server.script.total = 40000;
	}
	world_start(w);
	if (!world_wait(w, world_is_over, 10000, "all conversations"))
		return;
	apps_judge(&w->apps);
	world_wait(w, world_is_idle, REST_MS, "rest");
}

/* The server's application stops reading: others are not held up. */
static void stalled_reader_stops_nobody(struct world *w)
{
	struct apps_conv *stalled = apps_add(&w->apps, 500);
	struct apps_conv *c = scenarios_turns(w, 700);

	stalled->client.script.total = BULK;
	stalled->server.script.stall_per_mille = 1000;
	stalled->server.script.stall_max_ms = 4000;
	world_start(w);
	if (!world_run(w, 60000))
		return;
	if (c->client.state != APPS_DONE)
		trace_fail(&w->trace, "the other stream is held up");
	/* A new connection takes two round trips before it is of use. */
	scenarios_limit(w, "ms for one", c->client.worst_turn_ms, 3 * RTT_MS);
}

/* ---- all of them ------------------------------------------------------ */

static const struct scenario basic[] = {
	{ "a transaction costs one exchange and one round trip",
	    transaction_costs_one_exchange },
	{ "a slow server answers in the exchange that carried the question",
	    transaction_waits_in_its_exchange },
	{ "a slow user costs at most two exchanges a transaction",
	    slow_user_costs_two_exchanges },
	{ "transactions side by side do not delay each other",
	    transactions_side_by_side },
	{ "a transaction beside a download takes little more than alone",
	    transaction_beside_download },
	{ "a transaction beside an upload takes little more than alone",
	    transaction_beside_upload },
	{ "a transaction beside a slow download waits for the least window",
	    transaction_beside_slow_download },
	{ "a transaction beside a slow upload waits no longer",
	    transaction_beside_slow_upload },
	{ "a download uses the rate of the path", download_uses_the_path },
	{ "an upload uses the rate of the path", upload_uses_the_path },
	{ "a download uses the rate again after a slow time",
	    download_after_a_slow_time },
	{ "an upload over two connections goes on beside a request that is held",
	    upload_over_two_connections },
	{ "an upload over three does", upload_over_three_connections },
	{ "an upload on HTTP/2 uses the rate of the path",
	    upload_uses_the_path_on_http2 },
	{ "an idle session costs at most three exchanges a minute",
	    idle_costs_three_exchanges_a_minute },
	{ "a restarted gateway has the session again within two seconds",
	    restart_is_over_in_two_seconds },
	{ "a reset by the client arrives", client_reset_travels },
	{ "a reset by the server arrives", server_reset_travels },
	{ "500 streams that open and close with nothing leave nothing",
	    empty_streams_leave_nothing },
	{ "200 streams at once are all served", many_streams_share },
	{ "a reader that stalls holds up nobody else",
	    stalled_reader_stops_nobody },
	{ NULL, NULL }
};

static const struct scenario *const all[] = {
	basic, scenarios_away, scenarios_duplex, scenarios_many
};

/* The how-manieth of all; NULL: there are not so many. */
static const struct scenario *find(unsigned i)
{
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		for (const struct scenario *s = all[k]; s->name != NULL; s++)
			if (i-- == 0)
				return s;
	return NULL;
}

unsigned scenarios_count(void)
{
	unsigned n = 0;

	while (find(n) != NULL)
		n++;
	return n;
}

static bool run_one(const struct scenario *sc, unsigned seed, bool verbose)
{
	static struct world w;
	bool good;

	world_init(&w, seed, verbose);
	w.faults.path.latency_ms = LATENCY_MS;
	sc->fn(&w);
	good = !w.trace.failed;
	if (!good)
		printf("# at %" PRIu64 " ms: %s\n", w.trace.failed_ms,
		    w.trace.why);
	world_fini(&w);
	return good;
}

unsigned scenarios_run(unsigned first, bool verbose)
{
	const struct scenario *sc;
	unsigned failed = 0;

	for (unsigned i = 0; (sc = find(i)) != NULL; i++) {
		bool good = run_one(sc, i, verbose);

		printf("%sok %u - %s\n", good ? "" : "not ", first + i,
		    sc->name);
		fflush(stdout);
		failed += !good;
	}
	return failed;
}
