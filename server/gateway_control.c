#include "config.h"

#include "server/gateway_impl.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "common/err.h"
#include "common/net.h"
#include "server/notify.h"

#define DRAIN_LOOK_MS 100u	/* are the streams gone? */
#define DRAIN_ANSWER_MS 500u	/* for the last words to go out */

/* ---- reload ----------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void warn_unchanged(const struct settings *old,
    const struct settings *fresh)
{
	static const char restart[] =
	    "reload ignored setting=%s remedy=\"restart the gateway\"";

	if (!settings_same_listens(old, fresh))
		log_warn(restart, "listen");
	if (!same_text(old->key_file, fresh->key_file))
		log_warn(restart, "key_file");
	if (!same_text(old->user, fresh->user))
		log_warn(restart, "user");
	if ((old->tls_key == NULL) != (fresh->tls_key == NULL))
		log_warn(restart, "tls_certificate");
	if (old->max_connections != fresh->max_connections)
		log_warn(restart, "max_connections");
}

static void reload_certificate(struct gateway *gw)
{
	char why[ENDPOINT_TLS_WHY_MAX];
	const struct settings *s = gw->settings;

	if (gw->tls == NULL || s->tls_key == NULL)
		return;
	if (endpoint_tls_reload(gw->tls, s->tls_certificate, s->tls_key,
	    why) != 0)
		log_error("reload failed what=certificate error=\"%s\"", why);
}

static void apply(struct gateway *gw, struct settings *fresh)
{
	struct settings *old = gw->settings;
	struct endpoint_limits limits;

	warn_unchanged(old, fresh);
	gw->settings = fresh;
	limits = gateway_limits(gw);
	log_set_level(fresh->log_level);
	gate_reconfigure(gw->gate, &fresh->gate);
	if (endpoint_reconfigure(gw->endpoint, &limits) != 0)
		log_error("reload failed what=path error=\"no memory\"");
	gateway_rules_changed(gw);
	settings_free(old);
}

/*
 * Reads small local files in the loop: a moment, and only when somebody asks.
 */
static void reload(struct gateway *gw)
{
	struct settings *fresh;
	char why[CONF_WHY_MAX];

	notify_systemd("RELOADING=1");
	if (settings_load(&fresh, gw->source.file, gw->source.options,
	    gw->source.option_count, why) == 0) {
		apply(gw, fresh);
		log_info("reload done servers=%zu",
		    servers_count(fresh->servers));
	} else {
		log_error("reload failed what=configuration error=\"%s\"",
		    why);
	}
	reload_certificate(gw);
	registry_watch_reload(gw->watch, gw->settings->registry);
	notify_systemd("READY=1");
}

/* ---- drain ------------------------------------------------------------ */

static void on_last_words_said(uv_timer_t *timer)
{
	gateway_stop(timer->data);
}

static void close_sessions(struct gateway *gw)
{
	unsigned n = gate_close_all(gw->gate, SESSION_SHUTDOWN,
	    "the gateway is going down");

	log_info("drain over sessions=%u", n);
	uv_timer_start(&gw->drain_timer, on_last_words_said,
	    n > 0 ? DRAIN_ANSWER_MS : 0, 0);
}

static void on_drain_look(uv_timer_t *timer)
{
	struct gateway *gw = timer->data;
	struct gate_stats stats;

	gate_get_stats(gw->gate, &stats);
	if (stats.streams == 0 ||
	    net_now_ms(&gw->loop) >= gw->drain_until_ms)
		close_sessions(gw);
}

static void drain(struct gateway *gw)
{
	struct gate_stats stats;

	if (gw->draining) {
		log_info("stop");
		gateway_stop(gw);
		return;
	}
	gateway_upgrade_cancel(gw);
	gw->draining = true;
	gw->drain_until_ms = net_now_ms(&gw->loop) + gw->settings->drain_ms;
	notify_systemd("STOPPING=1");
	gate_drain(gw->gate);
	gate_get_stats(gw->gate, &stats);
	log_info("drain sessions=%u streams=%u wait_ms=%" PRIu64,
	    stats.sessions, stats.streams, gw->settings->drain_ms);
	uv_timer_start(&gw->drain_timer, on_drain_look, 0, DRAIN_LOOK_MS);
}

/* ---- signals ---------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int number)
{
	if (number == SIGHUP)
		reload(handle->data);
	else if (number == SIGUSR1)
		gateway_log_counters(handle->data);
	else if (number == SIGUSR2)
		gateway_upgrade(handle->data);
	else
		drain(handle->data);
}

int gateway_start_signals(struct gateway *gw)
{
	static const int numbers[GATEWAY_SIGNALS] = {
		SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2
	};

	for (size_t i = 0; i < GATEWAY_SIGNALS; i++)
		if (uv_signal_start(&gw->signals[i], on_signal,
		    numbers[i]) != 0)
			return ERR_IO;
	return 0;
}
