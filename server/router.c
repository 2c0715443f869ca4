#include "config.h"

#include "server/router.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/err.h"
#include "common/net.h"
#include "common/nrpc.h"
#include "common/pump.h"
#include "server/domino.h"
#include "server/quota.h"
#include "server/router_impl.h"

/* Refusals in the log: a device could ask for nonsense all day. */
#define REFUSALS 20u
#define REFUSALS_PER_MS 10000u
#define LIMIT_LOG_MS 60000u	/* between two lines about limits */

int router_new(struct router **out, uv_loop_t *loop,
    const struct router_rules *rules, void (*on_portion)(void *ctx),
    void *ctx)
{
	struct router *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ERR_NOMEM;
	r->quota = quota_new();
	if (r->quota == NULL) {
		free(r);
		return ERR_NOMEM;
	}
	r->loop = loop;
	r->rules = *rules;
	r->on_portion = on_portion;
	r->ctx = ctx;
	TAILQ_INIT(&r->routes);
	*out = r;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct route *route = handle->data;

	free(route->server);
	free(route);
}

/* The route is over; stream and socket are gone or somebody else's. */
static void end_route(struct route *route)
{
	TAILQ_REMOVE(&route->router->routes, route, link);
	quota_give(route->router->quota, route->owner.key);
	domino_free(route->domino);
	uv_close((uv_handle_t *)&route->first_bytes, on_closed);
}

void router_free(struct router *r)
{
	struct route *route;

	if (r == NULL)
		return;
	while ((route = TAILQ_FIRST(&r->routes)) != NULL)
		end_route(route);
	quota_free(r->quota);
	free(r);
}

static const char *reason_name(uint64_t code)
{
	switch ((enum stream_code)code) {
	case STREAM_NO_SERVER:
		return "not-listed";
	case STREAM_NOT_ALLOWED:
		return "not-allowed";
	case STREAM_NOT_NRPC:
		return "not-nrpc";
	case STREAM_MALFORMED:
		return "malformed";
	case STREAM_IDLE:
		return "idle";
	case STREAM_CONNECT_REFUSED:
		return "connect-refused";
	case STREAM_CONNECT_TIMEOUT:
		return "connect-timeout";
	case STREAM_CONNECT_FAILED:
		return "connect-failed";
	case STREAM_SESSION_LOST:
		return "session-ended";
	case STREAM_SHUTDOWN:
		return "shutdown";
	case STREAM_PEER_RESET:
		return "reset";
	case STREAM_LIMIT:
		return "limit";
	case STREAM_INTERNAL:
		return "internal";
	case STREAM_OK:
		return "end";
	}
	return "unknown";
}

static void log_refusal(struct route *route, uint64_t code,
    const void *name, size_t name_len)
{
	struct router *r = route->router;
	char clean[2 * NRPC_NAME_MAX];
	unsigned suppressed;

	if (!log_allow(&r->refusals, net_now_ms(r->loop), REFUSALS,
	    REFUSALS_PER_MS, &suppressed))
		return;
	if (suppressed > 0)
		log_warn("stream refused suppressed=%u", suppressed);
	log_warn("stream refused session=%s device=%s stream=%" PRIu64
	    " reason=%s name=\"%s\"", route->owner.session,
	    route->owner.device, route->stream_id, reason_name(code),
	    log_clean(clean, sizeof(clean), name, name_len));
}

/* Reset the stream and be done, saying why. */
static void refuse(struct route *route, uint64_t code, const void *name,
    size_t name_len)
{
	struct stream *st = route->stream;

	log_refusal(route, code, name, name_len);
	route->stream = NULL;
	stream_reset(st, code);
	end_route(route);
}

static void log_close(const struct route *route, uint64_t code, uint64_t in,
    uint64_t out)
{
	route->router->bytes_in += in;
	route->router->bytes_out += out;
	log_info("stream close session=%s device=%s stream=%" PRIu64
	    " why=%s in=%" PRIu64 " out=%" PRIu64 " ms=%" PRIu64,
	    route->owner.session, route->owner.device, route->stream_id,
	    reason_name(code), in, out,
	    net_now_ms(route->router->loop) - route->opened_ms);
}

/* ---- pumping ---------------------------------------------------------- */

static void on_pump_done(void *ctx, struct pump *p, uint64_t code)
{
	struct route *route = ctx;

	route->pump = NULL;
	route->stream = NULL;
	log_close(route, code, pump_bytes_out(p), pump_bytes_in(p));
	end_route(route);
}

static void on_pump_portion(void *ctx)
{
	const struct route *route = ctx;

	route->router->on_portion(route->router->ctx);
}

const struct pump_ops route_pump_ops = {
	.on_done = on_pump_done,
	.on_portion = on_pump_portion,
};

static void on_connected(void *ctx, uv_tcp_t *tcp, const char *address)
{
	struct route *route = ctx;
	struct stream *st = route->stream;

	domino_free(route->domino);
	route->domino = NULL;
	log_info("stream open session=%s device=%s stream=%" PRIu64
	    " server=\"%s\" address=%s", route->owner.session,
	    route->owner.device, route->stream_id, route->server, address);
	if (pump_new(&route->pump, tcp, st, &route_pump_ops, route) == 0)
		return;
	pump_close_reset(tcp);
	refuse(route, STREAM_INTERNAL, route->server, strlen(route->server));
}

/* ---- connecting ------------------------------------------------------- */

static uint64_t code_of(int err)
{
	switch (err) {
	case ERR_REFUSED:
		return STREAM_CONNECT_REFUSED;
	case ERR_TIMEOUT:
		return STREAM_CONNECT_TIMEOUT;
	default:
		return STREAM_CONNECT_FAILED;
	}
}

static void on_failed(void *ctx, int err)
{
	struct route *route = ctx;

	refuse(route, code_of(err), route->server, strlen(route->server));
}

static void connect_to(struct route *route, const struct server *server)
{
	static const struct domino_ops ops = {
		.on_connected = on_connected,
		.on_failed = on_failed,
	};
	struct router *r = route->router;

	uv_timer_stop(&route->first_bytes);
	route->server = strdup(server->name);
	if (route->server == NULL || domino_connect(&route->domino, r->loop,
	    server, &ops, route) != 0)
		refuse(route, STREAM_INTERNAL, server->name,
		    strlen(server->name));
}

/* Is the server listed, and may the route's device reach it? */
static enum stream_code look_up(const struct router *r,
    const struct router_owner *owner, const void *name, size_t name_len,
    const struct server **out)
{
	const struct server *server;
	const struct device *device;

	server = servers_find(r->rules.servers, name, name_len);
	if (server == NULL)
		return STREAM_NO_SERVER;
	device = devices_find(r->rules.devices, owner->key);
	if (device == NULL || !devices_allows(device, server->name))
		return STREAM_NOT_ALLOWED;
	*out = server;
	return STREAM_OK;
}

void route_to(struct route *route, const void *name, size_t name_len)
{
	const struct server *server;
	enum stream_code code;

	code = look_up(route->router, &route->owner, name, name_len, &server);
	if (code == STREAM_OK)
		connect_to(route, server);
	else
		refuse(route, code, name, name_len);
}

/* ---- the first packet ------------------------------------------------- */

static void route_to_default(struct route *route)
{
	const char *name = route->router->rules.default_server;

	if (name != NULL)
		route_to(route, name, strlen(name));
	else
		refuse(route, STREAM_NO_SERVER, NULL, 0);
}

/* Opened and ended without a byte: as a port check does. Not an error. */
static void end_unused(struct route *route)
{
	struct stream *st = route->stream;

	log_close(route, STREAM_OK, 0, 0);
	route->stream = NULL;
	stream_finish(st);
	stream_release(st);
	end_route(route);
}

static void look_into(struct route *route)
{
	uint8_t head[NRPC_PEEK_MAX];
	size_t len = stream_copy(route->stream, head, sizeof(head));
	struct nrpc_peek peek = nrpc_peek(head, len);

	switch (peek.verdict) {
	case NRPC_MORE:
		if (stream_at_end(route->stream))
			end_unused(route);
		return;
	case NRPC_NAMED:
		route_to(route, peek.name, peek.name_len);
		return;
	case NRPC_UNNAMED:
		route_to_default(route);
		return;
	case NRPC_HTTP:
	case NRPC_TLS:
	case NRPC_SSH:
	case NRPC_BITTORRENT:
		refuse(route, STREAM_NOT_NRPC,
		    nrpc_verdict_name(peek.verdict),
		    strlen(nrpc_verdict_name(peek.verdict)));
		return;
	case NRPC_MALFORMED:
		refuse(route, STREAM_MALFORMED, NULL, 0);
		return;
	}
}

static void on_first_bytes_late(uv_timer_t *timer)
{
	refuse(timer->data, STREAM_IDLE, NULL, 0);
}

static void on_readable(void *user, struct stream *st)
{
	struct route *route = user;

	(void)st;
	if (route->server == NULL)
		look_into(route);
}

static void on_writable(void *user, struct stream *st)
{
	(void)user;		/* nothing is written before the pump */
	(void)st;
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	struct route *route = user;

	(void)st;
	route->stream = NULL;
	log_close(route, code, 0, 0);
	end_route(route);
}

/*
 * Streams at once. A quarter of the open files is left to HTTP and to the
 * registry, or no session could go on and give descriptors back.
 */
static uint64_t max_all(const struct router *r)
{
	struct rlimit files;
	uint64_t max;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    files.rlim_cur == RLIM_INFINITY)
		return r->rules.max_all;
	max = files.rlim_cur - files.rlim_cur / 4;
	return max < r->rules.max_all ? max : r->rules.max_all;
}

/* May the device have one more? */
static bool may_open(struct router *r, const struct router_owner *owner)
{
	uint64_t all = max_all(r);
	enum quota_verdict verdict = quota_take(r->quota, owner->key,
	    r->rules.max_device, all);
	unsigned suppressed;

	if (verdict == QUOTA_OK)
		return true;
	if (log_allow(verdict == QUOTA_DEVICE ? &r->device_limit :
	    &r->all_limit, net_now_ms(r->loop), 1, LIMIT_LOG_MS, &suppressed))
		log_warn("limit reached limit=%s value=%" PRIu64
		    " session=%s device=%s suppressed=%u",
		    verdict == QUOTA_DEVICE ? "max_device_streams" :
		    "max_gateway_streams", verdict == QUOTA_DEVICE ?
		    r->rules.max_device : all, owner->session, owner->device,
		    suppressed);
	return false;
}

struct route *route_new(struct router *r, const struct router_owner *owner,
    struct stream *st, uint64_t opened_ms)
{
	static const struct stream_ops ops = {
		.on_readable = on_readable,
		.on_writable = on_writable,
		.on_reset = on_reset,
	};
	struct route *route = calloc(1, sizeof(*route));

	if (route == NULL || uv_timer_init(r->loop, &route->first_bytes) != 0) {
		free(route);
		quota_give(r->quota, owner->key);
		return NULL;
	}
	route->first_bytes.data = route;
	route->router = r;
	route->owner = *owner;
	route->stream = st;
	route->stream_id = stream_id(st);
	route->opened_ms = opened_ms;
	TAILQ_INSERT_TAIL(&r->routes, route, link);
	stream_attach(st, &ops, route);
	return route;
}

void route_wait_for_name(struct route *route, uint64_t wait_ms)
{
	uv_timer_start(&route->first_bytes, on_first_bytes_late, wait_ms, 0);
	look_into(route);
}

void router_open(struct router *r, const struct router_owner *owner,
    struct stream *st, const char *name, size_t name_len)
{
	struct route *route;

	r->opened++;
	if (!may_open(r, owner)) {
		stream_reset(st, STREAM_LIMIT);
		return;
	}
	route = route_new(r, owner, st, net_now_ms(r->loop));
	if (route == NULL)
		stream_reset(st, STREAM_INTERNAL);
	else if (name_len > 0)
		route_to(route, name, name_len);
	else
		route_wait_for_name(route, r->rules.first_bytes_ms);
}

void router_get_stats(const struct router *r, struct router_stats *out)
{
	const struct route *route;

	*out = (struct router_stats){
		.opened = r->opened,
		.refused = r->refusals.asked,
		.limited_device = r->device_limit.asked,
		.limited_all = r->all_limit.asked,
		.bytes_in = r->bytes_in,
		.bytes_out = r->bytes_out,
	};
	TAILQ_FOREACH(route, &r->routes, link) {
		out->streams++;
		if (route->pump == NULL)
			continue;
		out->bytes_in += pump_bytes_out(route->pump);
		out->bytes_out += pump_bytes_in(route->pump);
	}
}

/* ---- other rules ------------------------------------------------------ */

static void drop(struct route *route, uint64_t code)
{
	if (route->pump == NULL) {
		refuse(route, code, route->server, strlen(route->server));
		return;
	}
	log_refusal(route, code, route->server, strlen(route->server));
	pump_abort(route->pump, code);		/* ends in on_pump_done */
}

void router_update(struct router *r, const struct router_rules *rules)
{
	struct route *route, *next;

	r->rules = *rules;
	for (route = TAILQ_FIRST(&r->routes); route != NULL; route = next) {
		const struct server *server;
		enum stream_code code;

		next = TAILQ_NEXT(route, link);
		if (route->server == NULL)
			continue;
		code = look_up(r, &route->owner, route->server,
		    strlen(route->server), &server);
		if (code != STREAM_OK)
			drop(route, code);
	}
}
