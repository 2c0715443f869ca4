/* More than one wants to serve: streams that nobody reads, many clients. */
#include "config.h"

#include "tests/sim/scenarios_impl.h"

#include <inttypes.h>

#define UNREAD 511u		/* streams, and one that is read: the limit */
#define CLIENTS 6u
#define STILL_MS 3600000u	/* nobody reads for so long */

static uint64_t received(struct session *s)
{
	struct session_stats st;

	session_get_stats(s, &st);
	return st.recv_bytes;
}

/* Everyone fills all windows, and nobody reads more than once. */
static void unread_streams_stay_within_bounds(struct world *w)
{
	uint64_t window = w->server.session.initial_window;
	struct apps_conv *c;

	for (unsigned i = 0; i < UNREAD; i++) {
		c = apps_add(&w->apps, 500);
		c->client.script.total = c->server.script.total = 1000000;
		c->client.script.stall_per_mille = 1000;
		c->client.script.stall_max_ms = STILL_MS;
		c->server.script.stall_per_mille = 1000;
		c->server.script.stall_max_ms = STILL_MS;
		c->client.script.piece_max = c->server.script.piece_max = 1000;
	}
	c = scenarios_turns(w, 20000);
	world_start(w);
	/* That they keep to their limits is looked at in every step. */
	if (!world_run(w, 120000))
		return;
	scenarios_limit(w, "bytes that the gateway keeps",
	    received(gate_session_session(w->session)),
	    (UNREAD + 1) * window + w->server.session.window_pool);
	if (c->client.state != APPS_DONE)
		trace_fail(&w->trace, "the stream that is read is held up: "
		    "%" PRIu64 " turns", c->client.turns);
}

/* All clients at once, and nobody gets another's bytes. */
static void clients_share_a_gateway(struct world *w)
{
	static struct world other[CLIENTS - 1];

	world_start(w);
	for (unsigned i = 0; i < CLIENTS - 1; i++) {
		world_init(&other[i], 1000 + i, false);
		other[i].faults.path.latency_ms = LATENCY_MS * i;
		world_join(w, &other[i]);
	}
	for (struct world *c = w; c != NULL; c = c->next)
		for (unsigned i = 0; i < 3; i++) {
			struct apps_conv *bulk = apps_add(&c->apps, 500);

			bulk->client.script.total = 300000;
			bulk->server.script.total = 500000;
			scenarios_turns(c, 600 + i);
		}
	if (!world_run(w, 1500) || !world_is_up(w))
		trace_fail(&w->trace, "not all clients are up");
	/* One of them goes away in the midst of it. */
	if (!world_sleep(w, 30000, false) || !scenarios_over(w))
		return;
	for (struct world *c = w; c != NULL; c = c->next) {
		apps_judge(&c->apps);
		if (c->sessions != 1 || c->apps.lost > 0)
			trace_fail(&w->trace, "a session was lost");
	}
	world_wait(w, world_is_idle, REST_MS, "rest");
}

const struct scenario scenarios_many[] = {
	{ "512 streams that nobody reads stay within their memory",
	    unread_streams_stay_within_bounds },
	{ "six clients of one gateway do not disturb each other",
	    clients_share_a_gateway },
	{ NULL, NULL }
};
