#include "config.h"

#include "server/gateway_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/keyfile.h"
#include "common/net.h"

#define SEEN_MS 60000u

/* Lines that a peer can cause at will. */
#define LINES 50u
#define LINES_PER_MS 10000u
#define LIMIT_LOG_MS 60000u	/* between two lines about one limit */

static bool allow_line(struct gateway *gw, struct log_limit *limit)
{
	unsigned suppressed;

	if (!log_allow(limit, net_now_ms(&gw->loop), LINES, LINES_PER_MS,
	    &suppressed))
		return false;
	if (suppressed > 0)
		log_warn("log suppressed lines=%u", suppressed);
	return true;
}

/* ---- what the gate asks and tells ------------------------------------- */

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **device)
{
	const struct gateway *gw = ctx;
	const struct device *d = devices_find(gw->devices, key);

	*device = NULL;		/* snapshots come and go: found by key again */
	if (d == NULL)
		return HELLO_UNKNOWN_DEVICE;
	return d->revoked ? HELLO_REVOKED_DEVICE : HELLO_CREATED;
}

static void on_session(void *ctx, struct gate_session *gs, void *device)
{
	struct gateway *gw = ctx;
	const uint8_t *key = gate_session_key(gs);
	const struct device *d = devices_find(gw->devices, key);
	struct router_owner *owner = calloc(1, sizeof(*owner));
	char peer[ENDPOINT_PEER_MAX], agent[HELLO_AGENT_MAX + 1];

	(void)device;
	gate_session_set_user(gs, owner);
	if (owner == NULL)	/* its streams will be refused */
		return;
	memcpy(owner->key, key, sizeof(owner->key));
	keyfile_id_encode(gate_session_id(gs), owner->session);
	memcpy(owner->device, d == NULL ? "-" : d->name,
	    d == NULL ? sizeof("-") : sizeof(d->name));
	if (gw->takeover != NULL)	/* it was open before */
		return;
	if (allow_line(gw, &gw->sessions))
		log_info("session open session=%s device=%s agent=%s peer=%s",
		    owner->session, owner->device,
		    log_clean(agent, sizeof(agent), gate_session_agent(gs),
		    strlen(gate_session_agent(gs))),
		    endpoint_peer(gw->endpoint, peer));
	registry_watch_seen(gw->watch, key);
}

/* A sentence for the log, which may be the peer's: what is odd becomes '?'. */
static const char *sentence(const char *text, char *out, size_t out_len)
{
	size_t i = 0;

	for (; text != NULL && text[i] != '\0' && i + 1 < out_len; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' && text[i] != '"' &&
		    text[i] != '\\' ? text[i] : '?';
	out[i] = '\0';
	return out;
}

static void on_session_end(void *ctx, struct gate_session *gs,
    const char *why)
{
	struct gateway *gw = ctx;
	struct router_owner *owner = gate_session_user(gs);
	char clean[200];

	gate_session_set_user(gs, NULL);
	if (owner != NULL && allow_line(gw, &gw->sessions))
		log_info("session close session=%s device=%s why=\"%s\"",
		    owner->session, owner->device,
		    sentence(why, clean, sizeof(clean)));
	free(owner);
}

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	struct gateway *gw = ctx;
	const struct router_owner *owner = gate_session_user(gs);

	if (owner == NULL)
		stream_reset(st, STREAM_INTERNAL);
	else
		router_open(gw->router, owner, st, name, name_len);
}

static void on_wake(void *ctx)
{
	struct gateway *gw = ctx;

	gw->gate_due = true;
}

static void on_note(void *ctx, const char *line)
{
	struct gateway *gw = ctx;

	if (allow_line(gw, &gw->notes))
		log_warn("%s", line);
}

static void on_limit(void *ctx, enum gate_limit limit, uint64_t value,
    const uint8_t key[32], const uint8_t *id)
{
	struct gateway *gw = ctx;
	const struct device *d = devices_find(gw->devices, key);
	char session[KEYFILE_ID_TEXT_LEN + 1] = "-";
	unsigned suppressed;

	if (!log_allow(&gw->limits[limit], net_now_ms(&gw->loop), 1,
	    LIMIT_LOG_MS, &suppressed))
		return;
	if (id != NULL)
		keyfile_id_encode(id, session);
	log_warn("limit reached limit=%s value=%" PRIu64 " session=%s "
	    "device=%s suppressed=%u", gate_limit_name(limit), value, session,
	    d == NULL ? "-" : d->name, suppressed);
}

static bool may_hello(void *ctx)
{
	struct gateway *gw = ctx;

	return endpoint_may_hello(gw->endpoint);
}

const struct gate_ops gateway_gate_ops = {
	.authorize = authorize,
	.on_session = on_session,
	.on_session_end = on_session_end,
	.on_open = on_open,
	.on_wake = on_wake,
	.on_note = on_note,
	.may_hello = may_hello,
	.on_limit = on_limit,
};

/* ---- devices ---------------------------------------------------------- */

struct endpoint_limits gateway_limits(const struct gateway *gw)
{
	const struct settings *s = gw->settings;

	return (struct endpoint_limits){
		.path = s->path,
		.request_max = s->gate.request_max,
		.request_ms = s->request_ms,
		.sources = s->sources,
		.proxies = &s->proxies,
	};
}

struct router_rules gateway_rules(const struct gateway *gw)
{
	return (struct router_rules){
		.servers = gw->settings->servers,
		.devices = gw->devices,
		.default_server = gw->settings->default_server,
		.first_bytes_ms = gw->settings->first_bytes_ms,
		.max_device = gw->settings->max_device_streams,
		.max_all = gw->settings->max_gateway_streams,
	};
}

void gateway_rules_changed(struct gateway *gw)
{
	struct router_rules rules = gateway_rules(gw);

	router_update(gw->router, &rules);
}

/* Sessions of a device that could come in before and cannot now. */
static void end_revoked(struct gateway *gw, const struct devices *old)
{
	for (size_t i = 0; i < devices_count(old); i++) {
		const struct device *was = devices_at(old, i);
		const struct device *is = devices_find(gw->devices, was->key);
		unsigned n;

		if (was->revoked || (is != NULL && !is->revoked))
			continue;
		n = gate_close_device(gw->gate, was->key, SESSION_REVOKED,
		    "the device was revoked");
		log_info("device revoked device=%s sessions=%u", was->name, n);
	}
}

/* The first session of a device that may not come in. */
struct stranger {
	const struct gateway *gw;
	const uint8_t *key;
};

static void look_for_stranger(void *ctx, struct gate_session *gs)
{
	struct stranger *s = ctx;
	const struct device *d = devices_find(s->gw->devices,
	    gate_session_key(gs));

	if (s->key == NULL && (d == NULL || d->revoked))
		s->key = gate_session_key(gs);
}

void gateway_end_strangers(struct gateway *gw)
{
	struct stranger s = { .gw = gw };
	uint8_t key[32];

	do {
		s.key = NULL;
		gate_each(gw->gate, look_for_stranger, &s);
		if (s.key == NULL)
			break;
		memcpy(key, s.key, sizeof(key));
		(void)gate_close_device(gw->gate, key, SESSION_REVOKED,
		    "the device was revoked");
	} while (true);
}

static void on_devices(void *ctx, struct devices *devices)
{
	struct gateway *gw = ctx;
	struct devices *old = gw->devices;

	gw->devices = devices;
	end_revoked(gw, old);
	gateway_rules_changed(gw);
	log_info("registry read devices=%zu", devices_count(devices));
	devices_free(old);
}

const struct registry_watch_ops gateway_watch_ops = {
	.on_devices = on_devices,
};

/* ---- last seen -------------------------------------------------------- */

static void note_seen(void *ctx, struct gate_session *gs)
{
	struct gateway *gw = ctx;

	registry_watch_seen(gw->watch, gate_session_key(gs));
}

static void on_seen_timer(uv_timer_t *timer)
{
	struct gateway *gw = timer->data;

	gate_each(gw->gate, note_seen, gw);
}

void gateway_start_seen(struct gateway *gw)
{
	uv_timer_start(&gw->seen_timer, on_seen_timer, SEEN_MS, SEEN_MS);
}
