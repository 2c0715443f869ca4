/* How much there was of everything, for the log. */
#include "config.h"

#include "server/gateway_impl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/net.h"

#define HOUR_MS 3600000u

struct counters {
	uv_timer_t hourly;
	uint64_t since_ms;
	bool by_upgrade;
	/*
	 * Some of what sessions and streams count lives through an upgrade with
	 * them, and some does not. Without what there was at the start all of it
	 * is this process's.
	 */
	struct gate_stats gate;
	struct router_stats router;
};

static void log_now(const struct gateway *gw, const struct gate_stats *g,
    const struct router_stats *r, const struct endpoint_stats *e)
{
	log_info("counters what=now sessions=%u streams=%u connections=%u "
	    "requests=%u held=%u sources=%zu memory=%" PRIu64 " devices=%zu",
	    g->sessions, r->streams, e->connections, e->requests, g->held,
	    e->sources, g->memory, devices_count(gw->devices));
}

static void log_total(const struct gateway *gw, const struct gate_stats *g,
    const struct router_stats *r)
{
	const struct counters *c = gw->counters;

	log_info("counters what=total up_ms=%" PRIu64 " by_upgrade=%s "
	    "requests=%" PRIu64 " refused=%" PRIu64 " hellos=%" PRIu64
	    " hellos_limited=%" PRIu64 " sessions_begun=%" PRIu64
	    " sessions_resumed=%" PRIu64 " records_in=%" PRIu64
	    " records_out=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64,
	    net_now_ms(&gw->loop) - c->since_ms, c->by_upgrade ? "yes" : "no",
	    g->requests - c->gate.requests, g->refused - c->gate.refused,
	    g->hellos - c->gate.hellos, g->limited - c->gate.limited,
	    g->begun - c->gate.begun, g->resumed - c->gate.resumed,
	    g->records_in - c->gate.records_in,
	    g->records_out - c->gate.records_out,
	    g->bytes_in - c->gate.bytes_in, g->bytes_out - c->gate.bytes_out);
	log_info("counters what=streams opened=%" PRIu64 " refused=%" PRIu64
	    " bytes_in=%" PRIu64 " bytes_out=%" PRIu64, r->opened, r->refused,
	    r->bytes_in - c->router.bytes_in,
	    r->bytes_out - c->router.bytes_out);
}

/* How often each was reached, whether a line was written for it or not. */
static void log_limits(const struct gateway *gw, const struct router_stats *r,
    const struct endpoint_stats *e)
{
	const struct log_limit *l = gw->limits;

	log_info("counters what=limits max_sessions=%" PRIu64
	    " max_device_sessions=%" PRIu64 " max_streams=%" PRIu64
	    " max_device_streams=%" PRIu64 " max_gateway_streams=%" PRIu64
	    " max_device_memory=%" PRIu64 " max_memory=%" PRIu64
	    " max_connections=%" PRIu64 " max_strangers=%" PRIu64
	    " hello_rate=%" PRIu64 " hello_rate_all=%" PRIu64
	    " request_timeout=%" PRIu64 " request_max=%" PRIu64,
	    l[GATE_LIMIT_SESSIONS].asked, l[GATE_LIMIT_DEVICE_SESSIONS].asked,
	    l[GATE_LIMIT_STREAMS].asked, r->limited_device, r->limited_all,
	    l[GATE_LIMIT_DEVICE_MEMORY].asked, l[GATE_LIMIT_MEMORY].asked,
	    e->max_connections, e->max_strangers, e->hello_rate,
	    e->hello_rate_all, e->request_timeout, e->request_max);
}

void gateway_log_counters(const struct gateway *gw)
{
	struct gate_stats g;
	struct router_stats r;
	struct endpoint_stats e;

	if (gw->gate == NULL || gw->counters == NULL)
		return;		/* a signal in the last moment */
	gate_get_stats(gw->gate, &g);
	router_get_stats(gw->router, &r);
	endpoint_get_stats(gw->endpoint, &e);
	log_now(gw, &g, &r, &e);
	log_total(gw, &g, &r);
	log_limits(gw, &r, &e);
}

static void on_hour(uv_timer_t *timer)
{
	gateway_log_counters(timer->data);
}

int gateway_start_counters(struct gateway *gw)
{
	struct counters *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	c->since_ms = net_now_ms(&gw->loop);
	c->by_upgrade = gw->takeover != NULL;
	gate_get_stats(gw->gate, &c->gate);
	router_get_stats(gw->router, &c->router);
	uv_timer_init(&gw->loop, &c->hourly);
	c->hourly.data = gw;
	uv_timer_start(&c->hourly, on_hour, HOUR_MS, HOUR_MS);
	gw->counters = c;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);		/* the first member of struct counters */
}

void gateway_stop_counters(struct gateway *gw)
{
	if (gw->counters != NULL)
		uv_close((uv_handle_t *)&gw->counters->hourly, on_closed);
	gw->counters = NULL;
}
