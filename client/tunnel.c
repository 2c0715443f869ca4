#include "config.h"

#include "client/tunnel_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/net.h"
#include "common/pump.h"

#define STOP_MS 2000u		/* for saying goodbye */
#define RUNS_MAX 8u		/* of the engine in one turn of the loop */
#define SPARE_CONNECTIONS 2u	/* beside the lanes: hello, and a retry */

uint64_t tunnel_now(const struct tunnel *t)
{
	return net_now_ms(t->loop);
}

/* ---- the loop's turns ------------------------------------------------- */

static void on_deadline(uv_timer_t *timer)
{
	struct tunnel *t = timer->data;

	t->wake = true;		/* on_prepare runs before the loop waits */
}

/* Wake up when the engine wants it, but never without a pause. */
static void set_deadline(struct tunnel *t)
{
	uint64_t at = lanes_deadline(t->lanes);
	uint64_t wait;

	if (t->stopping && t->stop_ms < at)
		at = t->stop_ms;
	if (at == UINT64_MAX && !t->wake) {
		uv_timer_stop(&t->deadline);
		return;
	}
	wait = at > tunnel_now(t) ? at - tunnel_now(t) : 1;
	if (t->wake)
		wait = 0;
	uv_timer_start(&t->deadline, on_deadline, wait, 0);
}

static void run(struct tunnel *t)
{
	t->wake = false;
	lanes_run(t->lanes, tunnel_now(t));
	carrier_run(t->carrier);
	set_deadline(t);
}

static void on_portion(void *ctx)
{
	run(ctx);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct tunnel *t = prepare->data;

	if (!t->wake)
		return;
	for (unsigned i = 0; i < RUNS_MAX && t->wake; i++)
		run(t);
	if (!t->stopping || t->stopped)
		return;
	if (!lanes_is_over(t->lanes) && tunnel_now(t) < t->stop_ms)
		return;
	t->stopped = true;
	t->ops->on_stopped(t->ctx);	/* may free t: last */
}

/* What is connected now belongs to the past: begin anew, at once. */
static void begin_anew(struct tunnel *t)
{
	carrier_network_changed(t->carrier);
	lanes_network_changed(t->lanes, tunnel_now(t));
	t->wake = true;
}

static void on_network_change(void *ctx, const char *what)
{
	tunnel_notice(ctx, TUNNEL_NETWORK, what);
	begin_anew(ctx);
}

/* Proxies and NATs have long forgotten what was connected before. */
static void on_woken(void *ctx, enum sleepwatch_what what, uint64_t away_ms)
{
	char text[64];

	snprintf(text, sizeof(text), "%s for %" PRIu64 ".%" PRIu64 " s",
	    what == SLEEPWATCH_SLEPT ? "the machine slept" :
	    "this process did not run", away_ms / 1000, away_ms / 100 % 10);
	tunnel_notice(ctx, TUNNEL_WAKE, text);
	begin_anew(ctx);
}

static void on_connection(void *ctx, struct listener *l, uv_tcp_t *tcp)
{
	struct tunnel *t = ctx;
	unsigned suppressed;

	if (lanes_state(t->lanes) == LANES_UP) {
		guests_add(t->guests, tcp, listener_server(l));
		return;
	}
	/* Notes can try another server at once if it is told at once. */
	pump_close_reset(tcp);
	if (log_allow(&t->refused_limit, tunnel_now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed)) {
		log_warn("connection refused listen=%s why=\"the tunnel is "
		    "down: %s\"", listener_address(l), t->reason);
		tunnel_log_suppressed(suppressed);
	}
	lanes_knock(t->lanes, tunnel_now(t));
	t->wake = true;
}

static const struct listener_ops listener_ops = {
	.on_connection = on_connection
};

/* ---- beginning -------------------------------------------------------- */

static int start_lanes(struct tunnel *t, const struct noise_keys *device)
{
	struct lanes_config config = t->setup->lanes;
	int rc;

	config.device = *device;
	memcpy(config.gateway, t->setup->gateway_key, sizeof(config.gateway));
	crypto_random(config.id, sizeof(config.id));
	config.session.max_streams = t->setup->max_streams;
	rc = lanes_new(&t->lanes, &config, &tunnel_lanes_ops, t);
	crypto_wipe(&config, sizeof(config));
	if (rc != 0)
		return rc;
	return guests_new(&t->guests, t->loop, t->lanes,
	    (unsigned)t->setup->max_streams, on_portion, t);
}

static enum carrier_http http_wanted(enum setup_http http)
{
	switch (http) {
	case SETUP_HTTP_AUTO:
		return CARRIER_HTTP_AUTO;
	case SETUP_HTTP_1:
		return CARRIER_HTTP_1;
	case SETUP_HTTP_2:
		return CARRIER_HTTP_2;
	}
	return CARRIER_HTTP_AUTO;
}

static int start_carrier(struct tunnel *t)
{
	const struct setup *s = t->setup;
	bool plain = strncmp(s->url, "http://", 7) == 0;
	const struct carrier_config config = {
		.url = s->url,
		.ca_file = s->ca_file,
		/* No proxy leads to this machine's own loopback. */
		.proxy = plain && s->proxy == NULL ? "" : s->proxy,
		.http = http_wanted(s->http),
		.connect_timeout_ms = s->connect_timeout_ms,
		.slots = LANES_SLOTS,
		.paths = LANES_PATHS,
		.max_connections = s->lanes.lanes + SPARE_CONNECTIONS
	};

	return carrier_new(&t->carrier, t->loop, &config,
	    &tunnel_carrier_ops, t);
}

static int start_listeners(struct tunnel *t, char why[CONF_WHY_MAX])
{
	const struct setup *s = t->setup;

	for (unsigned i = 0; i < s->listen_count; i++) {
		struct listener *l;
		int rc = listener_new(&l, t->loop, &s->listens[i],
		    &listener_ops, t, why);

		if (rc != 0)
			return rc;
		t->listeners[t->listener_count++] = l;
		log_info("listen address=%s server=%s", listener_address(l),
		    listener_server(l) != NULL ? listener_server(l) : "auto");
	}
	return 0;
}

/* Without these the tunnel finds out by silence, only later. */
static void start_watches(struct tunnel *t)
{
	int rc = netwatch_new(&t->netwatch, t->loop, on_network_change, t);

	if (rc != 0)
		log_warn("network changes will not be noticed why=\"%s\"",
		    err_text(rc));
	rc = sleepwatch_new(&t->sleepwatch, t->loop, on_woken, t);
	if (rc != 0)
		log_warn("sleep will not be noticed why=\"%s\"",
		    err_text(rc));
}

static void start_handles(struct tunnel *t)
{
	uv_prepare_init(t->loop, &t->prepare);
	uv_timer_init(t->loop, &t->deadline);
	t->prepare.data = t;
	t->deadline.data = t;
	t->open_handles = 2;
	uv_prepare_start(&t->prepare, on_prepare);
}

int tunnel_new(struct tunnel **out, uv_loop_t *loop,
    const struct setup *setup, const struct noise_keys *device,
    const struct tunnel_ops *ops, void *ctx, char why[CONF_WHY_MAX])
{
	struct tunnel *t = calloc(1, sizeof(*t));
	int rc = ERR_NOMEM;

	if (t == NULL) {
		snprintf(why, CONF_WHY_MAX, "%s", err_text(rc));
		return rc;
	}
	t->loop = loop;
	t->setup = setup;
	t->ops = ops;
	t->ctx = ctx;
	t->state = LANES_DOWN;
	t->since_ms = tunnel_now(t);
	t->wake = true;
	snprintf(t->reason, sizeof(t->reason), "not connected yet");
	start_handles(t);
	rc = start_lanes(t, device);
	if (rc == 0)
		rc = start_carrier(t);
	if (rc != 0) {
		snprintf(why, CONF_WHY_MAX, "the tunnel cannot start: %s",
		    err_text(rc));
		goto fail;
	}
	rc = start_listeners(t, why);
	if (rc != 0)
		goto fail;
	start_watches(t);
	*out = t;
	return 0;

fail:
	tunnel_free(t);
	return rc;
}

/* ---- end -------------------------------------------------------------- */

static void free_listeners(struct tunnel *t)
{
	for (unsigned i = 0; i < t->listener_count; i++)
		listener_free(t->listeners[i]);
	t->listener_count = 0;
}

void tunnel_stop(struct tunnel *t)
{
	if (t->stopping)
		return;
	t->stopping = true;
	t->stop_ms = tunnel_now(t) + STOP_MS;
	free_listeners(t);
	guests_drop_waiting(t->guests);
	lanes_close(t->lanes, tunnel_now(t));
	t->wake = true;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct tunnel *t = handle->data;

	if (--t->open_handles == 0)
		free(t);
}

void tunnel_free(struct tunnel *t)
{
	if (t == NULL)
		return;
	netwatch_free(t->netwatch);
	sleepwatch_free(t->sleepwatch);
	free_listeners(t);
	guests_free(t->guests);		/* still uses the session */
	carrier_free(t->carrier);	/* still uses the lanes' bodies */
	lanes_free(t->lanes);
	uv_close((uv_handle_t *)&t->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&t->deadline, on_handle_closed);
}

/* ---- status ----------------------------------------------------------- */

void tunnel_get_info(struct tunnel *t, struct tunnel_info *out)
{
	struct session *session = lanes_session(t->lanes);

	memset(out, 0, sizeof(*out));
	out->up = t->state == LANES_UP;
	out->reason = t->reason;
	out->since_ms = tunnel_now(t) - t->since_ms;
	keyfile_id_encode(lanes_id(t->lanes), out->session);
	out->url = t->setup->url;
	out->http = carrier_http_name(t->carrier);
	out->rtt_ms = tunnel_rtt_ms(t);
	lanes_get_stats(t->lanes, &out->lanes);
	memcpy(out->noticed, t->noticed, sizeof(out->noticed));
	out->noticed_what = t->noticed_what;
	out->noticed_ms = t->noticed_what[0] != '\0' ?
	    tunnel_now(t) - t->noticed_ms : 0;
	out->has_session = session != NULL;
	if (session != NULL)
		session_get_stats(session, &out->streams);
	out->guests = t->guests;
	out->listeners = t->listener_count;
}

const char *tunnel_listener(const struct tunnel *t, unsigned i,
    const char **server)
{
	*server = listener_server(t->listeners[i]);
	return listener_address(t->listeners[i]);
}
