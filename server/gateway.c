#include "config.h"

#include "server/gateway.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/err.h"
#include "common/keyfile.h"
#include "common/net.h"
#include "server/gateway_impl.h"
#include "server/notify.h"
#include "server/privilege.h"

#define ROUNDS_MAX 8	/* of gate and endpoint before others have their turn */
#define SPARE_FILES 256u	/* descriptors beside connections */

/* ---- the turn of the loop --------------------------------------------- */

static void on_gate_timer(uv_timer_t *timer)
{
	struct gateway *gw = timer->data;

	gw->gate_due = true;
}

static void set_gate_timer(struct gateway *gw)
{
	uint64_t at = gate_deadline(gw->gate);
	uint64_t now_ms = net_now_ms(&gw->loop);

	if (at == UINT64_MAX)
		uv_timer_stop(&gw->gate_timer);
	else
		uv_timer_start(&gw->gate_timer, on_gate_timer,
		    at > now_ms ? at - now_ms : 0, 0);
}

/* The gate answers what has become due, and the endpoint sends it. */
static void run(struct gateway *gw)
{
	gw->gate_due = false;
	gate_run(gw->gate, net_now_ms(&gw->loop));
	endpoint_run(gw->endpoint);
}

static void on_portion(void *ctx)
{
	run(ctx);
}

/*
 * Once in a turn, after all events and before the loop sleeps; what was sent
 * can make more due.
 */
static void on_prepare(uv_prepare_t *prepare)
{
	struct gateway *gw = prepare->data;
	unsigned rounds = 0;

	do
		run(gw);
	while (gw->gate_due && ++rounds < ROUNDS_MAX);
	gateway_upgrade_turn(gw);
	if (gw->gate != NULL)		/* else it was the end */
		set_gate_timer(gw);
}

/* ---- the end ---------------------------------------------------------- */

static void close_handle(void *handle)
{
	uv_close(handle, NULL);
}

void gateway_stop(struct gateway *gw)
{
	if (gw->gate != NULL)
		(void)gate_close_all(gw->gate, SESSION_SHUTDOWN,
		    "the gateway is going down");
	endpoint_free(gw->endpoint);
	gw->endpoint = NULL;
	router_free(gw->router);
	gate_free(gw->gate);
	gw->router = NULL;
	gw->gate = NULL;
	gateway_upgrade_cancel(gw);
	gateway_stop_counters(gw);
	registry_watch_free(gw->watch);
	close_handle(&gw->prepare);
	close_handle(&gw->gate_timer);
	close_handle(&gw->seen_timer);
	close_handle(&gw->drain_timer);
	for (size_t i = 0; i < GATEWAY_SIGNALS; i++)
		close_handle(&gw->signals[i]);
}

/* ---- the start -------------------------------------------------------- */

/* Every connection is a descriptor: take as many as the system lets us. */
static void raise_file_limit(const struct settings *s)
{
	struct rlimit limit;
	rlim_t want = s->max_connections +
	    s->max_connections / ENDPOINT_SHARD + s->max_gateway_streams +
	    SPARE_FILES;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_max < want)
		log_warn("limit low limit=nofile value=%llu wanted=%llu "
		    "remedy=\"raise LimitNOFILE or lower max_connections "
		    "and max_gateway_streams\"",
		    (unsigned long long)limit.rlim_max,
		    (unsigned long long)want);
}

static int init_handles(struct gateway *gw)
{
	int rc = uv_loop_init(&gw->loop);

	if (rc != 0)
		return err_from_uv(rc);
	uv_prepare_init(&gw->loop, &gw->prepare);
	uv_timer_init(&gw->loop, &gw->gate_timer);
	uv_timer_init(&gw->loop, &gw->seen_timer);
	uv_timer_init(&gw->loop, &gw->drain_timer);
	gw->prepare.data = gw;
	gw->gate_timer.data = gw;
	gw->seen_timer.data = gw;
	gw->drain_timer.data = gw;
	for (size_t i = 0; i < GATEWAY_SIGNALS; i++) {
		rc = uv_signal_init(&gw->loop, &gw->signals[i]);
		if (rc != 0)
			return err_from_uv(rc);
		gw->signals[i].data = gw;
	}
	return 0;
}

/* It did not work; the one that we were to replace is told, and goes on. */
static int complain(struct gateway *gw, int rc, const char *why)
{
	log_error("start failed error=\"%s\"", why);
	gateway_takeover_failed(gw, why);
	return rc;
}

/*
 * What may need root: sockets, keys. Then root is given up. In an upgrade the
 * old program has both, and had given up root long ago.
 */
static int acquire(struct gateway *gw, struct noise_keys *keys)
{
	const struct settings *s = gw->settings;
	bool alone = gw->takeover == NULL;
	char why[ENDPOINT_TLS_WHY_MAX];
	int rc = privilege_check(s->user, why);

	if (rc == 0 && alone)
		rc = keyfile_read(s->key_file, privilege_uid(s->user), keys,
		    why);
	if (rc == 0 && s->tls_key != NULL)
		rc = endpoint_tls_new(&gw->tls, s->tls_certificate,
		    s->tls_key, why);
	if (rc == 0 && alone)
		rc = listen_open(s, NULL, &gw->listens, &gw->listen_count,
		    why);
	if (rc == 0)
		raise_file_limit(s);
	if (rc == 0)
		rc = privilege_drop(s->user, why);
	return rc == 0 ? 0 : complain(gw, rc, why);
}

static int start_registry(struct gateway *gw)
{
	const char *path = gw->settings->registry;
	char why[REGISTRY_WHY_MAX];
	struct registry *registry;
	int rc = registry_open(&registry, path, true, why);

	if (rc == 0)
		rc = registry_load(registry, &gw->devices, why);
	if (rc != 0)
		return complain(gw, rc, why);
	if (devices_count(gw->devices) == 0)
		log_warn("registry empty remedy=\"nrpc-gateway device add\"");
	rc = registry_watch_new(&gw->watch, &gw->loop, registry, path,
	    &gateway_watch_ops, gw);
	if (rc != 0)
		registry_close(registry);
	return rc;
}

static int start_engine(struct gateway *gw, const struct noise_keys *keys)
{
	struct gate_config config = gw->settings->gate;
	struct router_rules rules = gateway_rules(gw);
	int rc;

	config.keys = *keys;
	rc = gate_new(&gw->gate, &config, &gateway_gate_ops, gw);
	crypto_wipe(&config.keys, sizeof(config.keys));
	if (rc == 0)
		rc = router_new(&gw->router, &gw->loop, &rules,
		    on_portion, gw);
	return rc;
}

int gateway_start_endpoint(struct gateway *gw)
{
	struct endpoint_limits limits = gateway_limits(gw);
	int rc = endpoint_new(&gw->endpoint, &gw->loop, gw->gate, &limits);

	for (size_t i = 0; i < gw->listen_count && rc == 0; i++) {
		const struct listen_socket *l = &gw->listens[i];
		struct endpoint_tls *tls = l->is_tcp ? gw->tls : NULL;

		rc = endpoint_listen(gw->endpoint, l->fd,
		    (unsigned)gw->settings->max_connections, tls);
	}
	return rc;
}

static void log_listening(const struct gateway *gw)
{
	for (size_t i = 0; i < gw->listen_count; i++)
		log_info("listen address=%s tls=%s", gw->listens[i].address,
		    gw->listens[i].is_tcp && gw->tls != NULL ? "yes" : "no");
}

/* Key and engine: of our own, or those of the gateway that we replace. */
static int start_sessions(struct gateway *gw, struct noise_keys *keys)
{
	char why[GATEWAY_WHY_MAX];
	int rc = 0;

	if (gw->takeover != NULL)
		rc = gateway_takeover_receive(gw, keys, why);
	if (rc != 0)
		return complain(gw, rc, why);
	rc = start_engine(gw, keys);
	if (rc != 0)
		return complain(gw, rc, err_text(rc));
	if (gw->takeover != NULL)
		rc = gateway_takeover_import(gw, why);
	return rc == 0 ? 0 : complain(gw, rc, why);
}

/* What is left to do when all is there. */
static int start_serving(struct gateway *gw)
{
	int rc = gateway_start_endpoint(gw);

	if (rc == 0)
		rc = gateway_start_counters(gw);
	if (rc == 0)
		rc = gateway_start_signals(gw);
	if (rc == 0)
		rc = err_from_uv(uv_prepare_start(&gw->prepare, on_prepare));
	if (rc != 0)
		return complain(gw, rc, err_text(rc));
	gateway_start_seen(gw);
	return 0;
}

static int start(struct gateway *gw)
{
	char why[GATEWAY_WHY_MAX];
	struct noise_keys keys;
	int rc = acquire(gw, &keys);

	if (rc != 0)
		return rc;
	rc = start_registry(gw);
	if (rc == 0)
		rc = start_sessions(gw, &keys);
	crypto_wipe(&keys, sizeof(keys));
	if (rc == 0)
		rc = start_serving(gw);
	if (rc != 0)
		return rc;
	if (gw->takeover == NULL) {
		log_listening(gw);
		log_info("ready");
		notify_systemd("READY=1");
		return 0;
	}
	/* The old one tells systemd, which does not listen to us before. */
	rc = gateway_takeover_finish(gw, why);
	return rc == 0 ? 0 : complain(gw, rc, why);
}

static void release(struct gateway *gw)
{
	listen_free(gw->listens, gw->listen_count, false);
	endpoint_tls_free(gw->tls);
	devices_free(gw->devices);
	settings_free(gw->settings);
}

int gateway_run(const struct gateway_source *source)
{
	struct gateway *gw = calloc(1, sizeof(*gw));
	char why[CONF_WHY_MAX];
	int rc;

	if (gw == NULL)
		return EXIT_FAILURE;
	gw->source = *source;
	rc = gateway_takeover_begin(gw);
	if (rc != 0) {
		log_error("start failed error=\"%s\"", err_text(rc));
		free(gw);
		return EXIT_FAILURE;
	}
	rc = settings_load(&gw->settings, source->file, source->options,
	    source->option_count, why);
	if (rc != 0) {
		(void)complain(gw, rc, why);
		free(gw);
		return EXIT_FAILURE;
	}
	log_set_level(gw->settings->log_level);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);	/* an error like a full disk's */
	rc = init_handles(gw);
	if (rc != 0) {
		(void)complain(gw, rc, err_text(rc));
		return EXIT_FAILURE;
	}
	rc = start(gw);
	if (rc != 0)
		gateway_stop(gw);
	(void)uv_run(&gw->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&gw->loop);
	release(gw);
	free(gw);
	if (rc == 0)
		log_info("stopped");
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
