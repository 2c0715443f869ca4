#include "config.h"

#include "tests/sim/world_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"

#define SPIN_MAX 20u		/* engine runs at one instant, without event */
#define STEPS_MAX 60000u	/* steps in a virtual second */
#define FAILURES_MAX 1000u	/* failed exchanges in a virtual second */
#define STREAM_LEAST 16384u	/* bytes a stream may queue in any case */
#define SKEW_MAX 100000000u	/* how far the two clocks are apart, ms */

/* ---- setting up ------------------------------------------------------- */

/* The same keys in all runs: making them is not what is tested. */
static void fixed_keys(struct noise_keys *k, uint8_t byte)
{
	memset(k->secret, byte, sizeof(k->secret));
	crypto_x25519_public(k->pub, k->secret);
}

void world_init(struct world *w, uint64_t seed, bool verbose)
{
	static struct noise_keys device, gateway;

	if (device.secret[0] == 0) {
		fixed_keys(&device, 0x41);
		fixed_keys(&gateway, 0x42);
	}
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	events_init(&w->events);
	w->trace.verbose = verbose;
	w->trace.now_ms = &w->events.now_ms;
	rng_init(&w->rng, seed, 1);
	faults_clean(&w->faults, 0);
	lanes_defaults(&w->client);
	gate_defaults(&w->server);
	w->client.device = device;
	memcpy(w->client.gateway, gateway.pub, sizeof(gateway.pub));
	w->server.keys = gateway;
	for (size_t i = 0; i < sizeof(w->client.id); i++)
		w->client.id[i] = (uint8_t)rng_next(&w->rng);
	w->net.events = w->apps.events = &w->events;
	w->net.trace = w->apps.trace = &w->trace;
	w->net.faults = &w->faults;
	apps_init(&w->apps, seed);
}

static void choose_session(struct session_config *c, struct rng *r)
{
	c->initial_window = 4096u << rng_below(r, 6);
	c->window_max = c->initial_window << rng_below(r, 7);
	c->window_pool = rng_chance(r, 300) ? 0 : 65536u << rng_below(r, 6);
	c->send_max = 65536u << rng_below(r, 7);
	if (rng_chance(r, 200))
		c->max_streams = rng_between(r, 1, 4);
}

static void choose_limits(struct world *w)
{
	struct rng *r = &w->rng;

	w->net.gate_skew_ms = rng_below(r, SKEW_MAX);
	if (rng_chance(r, 600))
		choose_session(&w->client.session, r);
	if (rng_chance(r, 600))
		choose_session(&w->server.session, r);
	w->apps.tight = w->server.session.max_streams < 512;
	if (rng_chance(r, 200))
		w->client.rekey_ms = (uint32_t)rng_between(r, 1000, 20000);
	if (rng_chance(r, 300))
		w->client.lanes = (unsigned)rng_between(r, 2, 8);
	if (rng_chance(r, 300)) {
		w->server.response_first = 4096u << rng_below(r, 8);
		w->server.response_ms = rng_between(r, 200, 30000);
	}
	if (rng_chance(r, 150))
		w->server.linger_ms = 60000;
	if (rng_chance(r, 700))
		w->client.duplex_after = (unsigned)rng_below(r, 6);
}

void world_choose(struct world *w)
{
	struct rng *r = &w->rng;
	uint64_t streams = rng_chance(r, 50) ? rng_between(r, 6, 30) :
	    rng_between(r, 1, 6);
	uint64_t size = rng_chance(r, 40) ? 1500000 : 60000;

	faults_choose(&w->faults, r);
	choose_limits(w);
	for (uint64_t i = 0; i < streams; i++) {
		struct apps_conv *c = apps_add(&w->apps,
		    rng_chance(r, 400) ? 0 : rng_below(r, w->faults.storm_ms));

		apps_choose(c, r, size);
	}
}

static void start_gate(struct world *w)
{
	if (gate_new(&w->gate, &w->server, &world_gate_ops, w) != 0)
		trace_fail(&w->trace, "gate_new failed");
	for (struct world *c = w; c != NULL; c = c->next)
		c->net.gate = w->gate;
	w->gate_woken = true;
}

/* The client's engine, and the network before it. */
static void start_client(struct world *w, struct world *c)
{
	net_init(&c->net, c->seed);
	if (lanes_new(&c->lanes, &c->client, &world_lanes_ops, c) != 0) {
		trace_fail(&w->trace, "lanes_new failed");
		return;
	}
	if (c->faults.path.http2)
		lanes_set_http2(c->lanes, true);
	c->net.lanes = c->apps.lanes = c->lanes;
	c->lanes_woken = true;
}

void world_start(struct world *w)
{
	start_client(w, w);
	start_gate(w);
}

void world_join(struct world *w, struct world *client)
{
	client->next = w->next;
	w->next = client;
	client->net.events = client->apps.events = &w->events;
	client->net.trace = client->apps.trace = &w->trace;
	client->net.gate_skew_ms = w->net.gate_skew_ms;
	start_client(w, client);
	client->net.gate = w->gate;
}

/* The gateway ends, and all that it knew. */
static void end_gate(struct world *w)
{
	struct world *c = w;

	if (w->gate == NULL)
		return;
	w->gate_ending = true;
	do
		net_gate_down(&c->net);
	while ((c = c->next) != NULL);
	gate_free(w->gate);
	w->gate = NULL;
	c = w;
	do {
		apps_gate_lost(&c->apps);
		c->net.gate = NULL;
		c->session = NULL;
		c->net.session_serial = 0;
		c->apps.gate_has_session = false;
	} while ((c = c->next) != NULL);
	w->gate_ending = false;
}

static void end_client(struct world *c)
{
	lanes_free(c->lanes);
	net_fini(&c->net);
	apps_fini(&c->apps);
	events_fini(&c->events);
}

void world_fini(struct world *w)
{
	struct world *c, *next;

	for (c = w; c != NULL; c = c->next)
		c->apps.closing = true;
	end_gate(w);
	for (c = w->next; c != NULL; c = next) {
		next = c->next;
		end_client(c);
	}
	end_client(w);
}

/* ---- what must hold at every step ------------------------------------- */

static void check_memory(struct world *w, const struct session *s,
    const struct session_config *c, const char *who)
{
	struct session_stats st;
	uint64_t recv_max, send_max;

	session_get_stats(s, &st);
	recv_max = st.streams * c->initial_window + c->window_pool;
	if (st.recv_bytes > recv_max)
		trace_fail(&w->trace, "the %s keeps %" PRIu64 " received "
		    "bytes in %u streams; the limit is %" PRIu64, who,
		    st.recv_bytes, st.streams, recv_max);
	/* However many there are, none is denied this little. */
	send_max = c->send_max + st.streams * STREAM_LEAST;
	if (st.send_bytes > send_max)
		trace_fail(&w->trace, "the %s keeps %" PRIu64 " bytes to "
		    "send in %u streams; the limit is %" PRIu64, who,
		    st.send_bytes, st.streams, send_max);
}

static void check_gate(struct world *w)
{
	struct gate_stats st;
	unsigned legs = 0;

	for (struct world *c = w; c != NULL; c = c->next)
		legs += c->net.open_legs;
	gate_get_stats(w->gate, &st);
	if (st.exchanges != legs)
		trace_fail(&w->trace, "the gateway counts %u exchanges, there "
		    "are %u", st.exchanges, legs);
	if (st.held > st.exchanges)
		trace_fail(&w->trace, "the gateway counts %u held of %u "
		    "exchanges", st.held, st.exchanges);
}

static void check_client(struct world *w, struct world *c)
{
	struct session *s = c->lanes != NULL ? lanes_session(c->lanes) : NULL;

	if (s != NULL)
		check_memory(w, s, &c->client.session, "client");
	if (c->session != NULL)
		check_memory(w, gate_session_session(c->session),
		    &w->server.session, "gateway");
	if (c->apps.server_lost > 0 && c->session != NULL && !c->leaving)
		trace_fail(&w->trace, "the gateway's streams are reset, but "
		    "the session lives");
	c->apps.server_lost = 0;
}

static void check_step(struct world *w)
{
	for (struct world *c = w; c != NULL; c = c->next)
		check_client(w, c);
	if (w->gate != NULL)
		check_gate(w);
}

/* Neither engine may keep the processor or the network busy for nothing. */
static void check_pace(struct world *w)
{
	if (w->events.now_ms / 1000 != w->second) {
		w->second = w->events.now_ms / 1000;
		w->second_steps = 0;
		w->failures_second = w->net.failures;
	}
	if (++w->second_steps > STEPS_MAX)
		trace_fail(&w->trace, "more than %u steps in a second",
		    STEPS_MAX);
	if (w->net.failures - w->failures_second > FAILURES_MAX)
		trace_fail(&w->trace, "more than %u failed exchanges in a "
		    "second", FAILURES_MAX);
}

/* ---- the loop --------------------------------------------------------- */

static uint64_t gate_due(const struct world *w)
{
	uint64_t at = w->gate != NULL ? gate_deadline(w->gate) : UINT64_MAX;

	if (at == UINT64_MAX)
		return at;
	return at > w->net.gate_skew_ms ? at - w->net.gate_skew_ms : 0;
}

static uint64_t due(struct world *w)
{
	uint64_t at = events_next_ms(&w->events), other;

	if (w->gate_woken && w->gate != NULL)
		return w->events.now_ms;
	for (struct world *c = w; c != NULL; c = c->next) {
		if (c->asleep)
			continue;
		if (c->lanes_woken)
			return w->events.now_ms;
		other = lanes_deadline(c->lanes);
		at = other < at ? other : at;
	}
	other = gate_due(w);
	return other < at ? other : at;
}

static void disarm(const struct world *w, struct session *s)
{
	if (w->break_lane_rule && s != NULL)
		session_break_lane_rule(s);
}

static bool run_client(struct world *w, struct world *c)
{
	uint64_t now = w->events.now_ms;

	if (c->asleep || (!c->lanes_woken && !c->net.lanes_touched &&
	    lanes_deadline(c->lanes) > now))
		return false;
	c->lanes_woken = c->net.lanes_touched = false;
	lanes_run(c->lanes, now);
	disarm(w, lanes_session(c->lanes));
	return true;
}

static bool run_gate(struct world *w)
{
	bool touched = w->gate_woken;
	struct world *c;

	for (c = w; c != NULL; c = c->next)
		touched |= c->net.gate_touched;
	if (w->gate == NULL || (!touched && gate_due(w) > w->events.now_ms))
		return false;
	w->gate_woken = false;
	for (c = w; c != NULL; c = c->next)
		c->net.gate_touched = false;
	gate_run(w->gate, net_gate_now(&w->net));
	for (c = w; c != NULL; c = c->next)
		if (c->session != NULL)
			disarm(w, gate_session_session(c->session));
	return true;
}

/* Run the engines that have something to do. */
static bool run_engines(struct world *w)
{
	bool ran = false;

	for (struct world *c = w; c != NULL; c = c->next)
		ran |= run_client(w, c);
	return run_gate(w) || ran;
}

/* One event, and what the engines make of it. Nothing after until_ms. */
static bool step(struct world *w, uint64_t until_ms)
{
	uint64_t at = due(w);
	bool event;

	if (at > until_ms)
		return false;
	if (at > w->events.now_ms)
		w->idle_runs = 0;
	events_advance(&w->events, at);
	event = events_run(&w->events);
	if (event)
		w->idle_runs = 0;
	if (run_engines(w) && !event) {
		w->runs++;
		w->idle_runs++;
	}
	if (w->idle_runs > SPIN_MAX)
		trace_fail(&w->trace, "the engines do not come to rest: "
		    "client due at %" PRIu64 ", gateway at %" PRIu64,
		    lanes_deadline(w->lanes), gate_due(w));
	check_step(w);
	check_pace(w);
	return true;
}

bool world_run(struct world *w, uint64_t for_ms)
{
	uint64_t end = w->events.now_ms + for_ms;

	while (!w->trace.failed && step(w, end))
		;
	if (!w->trace.failed)
		events_advance(&w->events, end);
	return !w->trace.failed;
}

bool world_wait(struct world *w, bool (*done)(struct world *w),
    uint64_t max_ms, const char *what)
{
	uint64_t end = w->events.now_ms + max_ms;
	char text[200];

	while (!w->trace.failed && !done(w)) {
		if (step(w, end))
			continue;
		apps_describe(&w->apps, text, sizeof(text));
		trace_fail(&w->trace, "after %" PRIu64 " ms still waiting "
		    "for %s (%u exchanges, %s)", max_ms, what,
		    w->net.open_calls, text);
	}
	return !w->trace.failed;
}

static void on_gate_back(void *ctx)
{
	struct world *w = ctx;

	trace_say(&w->trace, "gate back");
	if (w->gate == NULL)
		start_gate(w);
}

void world_restart_gate(struct world *w, uint64_t down_ms)
{
	if (w->gate == NULL)
		return;
	trace_say(&w->trace, "gate down");
	end_gate(w);
	events_after(&w->events, down_ms, on_gate_back, w);
}

bool world_sleep(struct world *w, uint64_t for_ms, bool clock_stops)
{
	trace_say(&w->trace, "the client sleeps");
	net_blackhole(&w->net);
	w->asleep = true;
	if (clock_stops)	/* the same as the gateway's going on alone */
		w->net.gate_skew_ms += for_ms;
	else if (!world_run(w, for_ms))
		return false;
	trace_say(&w->trace, "the client is awake");
	w->asleep = false;
	lanes_network_changed(w->lanes, w->events.now_ms);
	return !w->trace.failed;
}

bool world_is_up(struct world *w)
{
	for (struct world *c = w; c != NULL; c = c->next)
		if (lanes_state(c->lanes) != LANES_UP || c->session == NULL)
			return false;
	return true;
}

bool world_is_over(struct world *w)
{
	for (struct world *c = w; c != NULL; c = c->next)
		if (!apps_over(&c->apps))
			return false;
	return true;
}

static bool is_idle(struct world *c)
{
	struct session *s = lanes_session(c->lanes);
	/*
	 * One, and another while the one is replaced; what follows on new keys
	 * is held beside those from before.
	 */
	unsigned held = 2 + 2 * (c->client.hold_ms / c->client.rekey_ms);

	return s != NULL && session_is_idle(s) &&
	    session_is_idle(gate_session_session(c->session)) &&
	    c->net.open_calls <= held && c->net.open_legs <= held;
}

bool world_is_idle(struct world *w)
{
	if (!world_is_up(w))
		return false;
	for (struct world *c = w; c != NULL; c = c->next)
		if (!is_idle(c))
			return false;
	return true;
}
