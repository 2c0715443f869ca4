#include "config.h"

#include "client/tunnel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/carrier.h"
#include "client/listener.h"
#include "client/netwatch.h"
#include "client/setup.h"
#include "client/sleepwatch.h"
#include "common/err.h"
#include "common/lanes.h"
#include "common/log.h"
#include "common/net.h"
#include "common/pump.h"

#define STOP_MS 2000u		/* for saying goodbye */
#define RUNS_MAX 8u		/* of the engine in one turn of the loop */
#define LOG_BURST 5u		/* lines of one kind per LOG_PER_MS */
#define LOG_PER_MS 60000u
#define SPARE_CONNECTIONS 2u	/* beside the lanes: hello, and a retry */

struct tunnel {
	uv_loop_t *loop;
	const struct setup *setup;
	const struct tunnel_ops *ops;
	void *ctx;
	struct lanes *lanes;
	struct carrier *carrier;
	struct guests *guests;
	struct netwatch *netwatch;
	struct sleepwatch *sleepwatch;
	struct listener *listeners[SETUP_LISTEN_MAX];
	unsigned listener_count;

	uv_prepare_t prepare;	/* runs the engine before the loop waits */
	uv_timer_t deadline;	/* the engine's, or the goodbye's end */
	unsigned open_handles;
	bool wake;		/* the engine has something to do */
	bool stopping, stopped;
	uint64_t stop_ms;	/* when the goodbye has to be over */

	enum lanes_state state;
	char reason[256];
	uint64_t since_ms;
	uint64_t session_number;	/* of the session logged last */
	uint8_t id[RECORD_ID_LEN];	/* the one that the URL holds */
	uint64_t hello_ms;		/* when the last hello went out */
	uint32_t hello_rtt_ms;		/* and how long its answer took */
	uint64_t noticed[TUNNEL_NOTICED];
	char noticed_what[96];
	uint64_t noticed_ms;
	struct log_limit noticed_limit;
	struct log_limit up_limit, down_limit, refused_limit;
};

static uint64_t now(const struct tunnel *t)
{
	return net_now_ms(t->loop);
}

/* ---- what the engine asks for ----------------------------------------- */

/* A session's path is its id; a new session gets another. */
static int refresh_url(struct tunnel *t)
{
	const uint8_t *id = lanes_id(t->lanes);
	char text[KEYFILE_ID_TEXT_LEN + 1];
	size_t size = strlen(t->setup->url) + sizeof(text) + 1;
	char *url;
	int rc;

	if (memcmp(id, t->id, sizeof(t->id)) == 0)
		return 0;
	url = malloc(size);
	if (url == NULL)
		return ERR_NOMEM;
	keyfile_id_encode(id, text);
	snprintf(url, size, "%s/%s", t->setup->url, text);
	rc = carrier_set_url(t->carrier, url);
	free(url);
	if (rc == 0)
		memcpy(t->id, id, sizeof(t->id));
	return rc;
}

static void on_post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct tunnel *t = ctx;

	/*
	 * Without memory for the URL the request goes to that of the session
	 * before, is answered 404, and repeated.
	 */
	(void)refresh_url(t);
	if (slot == LANES_HELLO)
		t->hello_ms = now(t);
	carrier_post(t->carrier, slot, body, len, path, fresh);
}

static void on_open(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct tunnel *t = ctx;

	(void)refresh_url(t);
	carrier_open(t->carrier, slot, body, len, path, fresh);
}

static void on_append(void *ctx, unsigned slot, const uint8_t *data,
    size_t len)
{
	struct tunnel *t = ctx;

	carrier_append(t->carrier, slot, data, len);
}

static void on_finish(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	carrier_finish(t->carrier, slot);
}

static size_t on_unsent(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	return carrier_unsent(t->carrier, slot);
}

static void on_move(void *ctx, unsigned from, unsigned to)
{
	struct tunnel *t = ctx;

	carrier_move(t->carrier, from, to);
}

static void on_cancel(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	carrier_cancel(t->carrier, slot);
}

static uint32_t rtt_ms(const struct tunnel *t)
{
	struct lanes_stats stats;

	lanes_get_stats(t->lanes, &stats);
	return stats.rtt_ms > 0 ? stats.rtt_ms : t->hello_rtt_ms;
}

/* Lines like the last one that were swallowed before it. */
static void log_suppressed(unsigned count)
{
	if (count > 0)
		log_info("lines suppressed count=%u", count);
}

static void log_up(struct tunnel *t, const char *why)
{
	char id[KEYFILE_ID_TEXT_LEN + 1];
	unsigned suppressed;

	if (!log_allow(&t->up_limit, now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed))
		return;
	keyfile_id_encode(lanes_id(t->lanes), id);
	log_info("tunnel up session=%s rtt_ms=%" PRIu32 " http=%s why=\"%s\"",
	    id, rtt_ms(t), carrier_http_name(t->carrier), why);
	log_suppressed(suppressed);
}

static void log_down(struct tunnel *t, const char *why)
{
	unsigned suppressed;

	if (!log_allow(&t->down_limit, now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed))
		return;
	log_warn("tunnel down reason=\"%s\"", why);
	log_suppressed(suppressed);
}

static void on_state(void *ctx, enum lanes_state state, const char *why)
{
	struct tunnel *t = ctx;
	struct lanes_stats stats;

	lanes_get_stats(t->lanes, &stats);
	if (state != t->state)
		t->since_ms = now(t);
	if (state == LANES_DOWN)
		log_down(t, why);
	else if (t->state == LANES_DOWN || stats.sessions != t->session_number)
		log_up(t, why);
	else
		log_debug("tunnel goes on why=\"%s\"", why);
	t->state = state;
	t->session_number = stats.sessions;
	snprintf(t->reason, sizeof(t->reason), "%s", why);
}

static void on_wake(void *ctx)
{
	struct tunnel *t = ctx;

	t->wake = true;
}

/* Something happened to the network: one line, and for the status. */
static void notice(struct tunnel *t, enum tunnel_noticed kind,
    const char *what)
{
	static const char *const events[] = {
		[TUNNEL_NETWORK] = "network changed",
		[TUNNEL_WAKE] = "woke up",
		[TUNNEL_SILENCE] = "path silent"
	};
	unsigned suppressed;

	t->noticed[kind]++;
	t->noticed_ms = now(t);
	snprintf(t->noticed_what, sizeof(t->noticed_what), "%s: %s",
	    events[kind], what);
	if (!log_allow(&t->noticed_limit, now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed))
		return;
	log_info("%s what=\"%s\"", events[kind], what);
	log_suppressed(suppressed);
}

static void on_silence(void *ctx, uint64_t silent_ms)
{
	char what[64];

	snprintf(what, sizeof(what), "nothing came for %" PRIu64 " ms",
	    silent_ms);
	notice(ctx, TUNNEL_SILENCE, what);
}

static uint32_t on_random(void *ctx)
{
	uint32_t bits;

	(void)ctx;
	crypto_random(&bits, sizeof(bits));
	return bits;
}

static const struct lanes_ops lanes_ops = {
	.post = on_post,
	.open = on_open,
	.append = on_append,
	.finish = on_finish,
	.unsent = on_unsent,
	.move = on_move,
	.cancel = on_cancel,
	.on_state = on_state,
	.on_wake = on_wake,
	.on_silence = on_silence,
	.random = on_random
};

/* ---- what the carrier brings ------------------------------------------ */

static void on_body(void *ctx, unsigned slot, const uint8_t *data, size_t len)
{
	struct tunnel *t = ctx;

	lanes_on_body(t->lanes, slot, data, len, now(t));
}

static void on_end(void *ctx, unsigned slot, enum carrier_result result,
    unsigned http_status, const char *detail)
{
	static const enum lanes_result results[] = {
		[CARRIER_DONE] = LANES_DONE,
		[CARRIER_STATUS] = LANES_STATUS,
		[CARRIER_FAILED] = LANES_FAILED
	};
	struct tunnel *t = ctx;

	if (result != CARRIER_DONE)
		log_debug("exchange failed slot=%u why=\"%s\"", slot, detail);
	if (slot == LANES_HELLO)
		t->hello_rtt_ms = (uint32_t)(now(t) - t->hello_ms);
	lanes_on_end(t->lanes, slot, results[result], http_status, detail,
	    now(t));
}

static void on_http_version(void *ctx, bool http2)
{
	struct tunnel *t = ctx;

	lanes_set_http2(t->lanes, http2);
}

static void on_connect(void *ctx, const struct sockaddr *to)
{
	struct tunnel *t = ctx;

	if (t->netwatch != NULL)
		netwatch_add(t->netwatch, to);
}

static const struct carrier_ops carrier_ops = {
	.on_body = on_body,
	.on_end = on_end,
	.on_http_version = on_http_version,
	.on_connect = on_connect
};

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
	wait = at > now(t) ? at - now(t) : 1;
	if (t->wake)
		wait = 0;
	uv_timer_start(&t->deadline, on_deadline, wait, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct tunnel *t = prepare->data;

	if (!t->wake)
		return;
	for (unsigned i = 0; i < RUNS_MAX && t->wake; i++) {
		t->wake = false;
		lanes_run(t->lanes, now(t));
		carrier_run(t->carrier);
	}
	set_deadline(t);
	if (!t->stopping || t->stopped)
		return;
	if (!lanes_is_over(t->lanes) && now(t) < t->stop_ms)
		return;
	t->stopped = true;
	t->ops->on_stopped(t->ctx);	/* may free t: last */
}

/* What is connected now belongs to the past: begin anew, at once. */
static void begin_anew(struct tunnel *t)
{
	carrier_network_changed(t->carrier);
	lanes_network_changed(t->lanes, now(t));
	t->wake = true;
}

static void on_network_change(void *ctx, const char *what)
{
	notice(ctx, TUNNEL_NETWORK, what);
	begin_anew(ctx);
}

/* Proxies and NATs have long forgotten what was connected before. */
static void on_woken(void *ctx, enum sleepwatch_what what, uint64_t away_ms)
{
	char text[64];

	snprintf(text, sizeof(text), "%s for %" PRIu64 ".%" PRIu64 " s",
	    what == SLEEPWATCH_SLEPT ? "the machine slept" :
	    "this process did not run", away_ms / 1000, away_ms / 100 % 10);
	notice(ctx, TUNNEL_WAKE, text);
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
	if (log_allow(&t->refused_limit, now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed)) {
		log_warn("connection refused listen=%s why=\"the tunnel is "
		    "down: %s\"", listener_address(l), t->reason);
		log_suppressed(suppressed);
	}
	lanes_knock(t->lanes, now(t));
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
	rc = lanes_new(&t->lanes, &config, &lanes_ops, t);
	crypto_wipe(&config, sizeof(config));
	if (rc != 0)
		return rc;
	return guests_new(&t->guests, t->loop, t->lanes,
	    (unsigned)t->setup->max_streams);
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

	return carrier_new(&t->carrier, t->loop, &config, &carrier_ops, t);
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
	t->since_ms = now(t);
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
	t->stop_ms = now(t) + STOP_MS;
	free_listeners(t);
	guests_drop_waiting(t->guests);
	lanes_close(t->lanes, now(t));
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
	out->since_ms = now(t) - t->since_ms;
	keyfile_id_encode(lanes_id(t->lanes), out->session);
	out->url = t->setup->url;
	out->http = carrier_http_name(t->carrier);
	out->rtt_ms = rtt_ms(t);
	lanes_get_stats(t->lanes, &out->lanes);
	memcpy(out->noticed, t->noticed, sizeof(out->noticed));
	out->noticed_what = t->noticed_what;
	out->noticed_ms = t->noticed_what[0] != '\0' ?
	    now(t) - t->noticed_ms : 0;
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
