/* Routes as bytes, for an upgrade. */
#include "config.h"

#include "server/router_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/nrpc.h"
#include "common/pump.h"
#include "common/state.h"
#include "server/fds.h"

/*
 * A connect that is under way is begun again: there is nothing in it yet, and
 * a name that is being looked up cannot be handed on.
 */
enum step {
	STEP_NAME = 0,		/* waits for its first packet */
	STEP_CONNECT = 1,
	STEP_PUMP = 2
};

static enum step step_of(const struct route *route)
{
	if (route->pump != NULL)
		return STEP_PUMP;
	return route->server != NULL ? STEP_CONNECT : STEP_NAME;
}

void router_settle(struct router *r)
{
	struct route *route;
	struct pump_state ps;

	TAILQ_FOREACH(route, &r->routes, link)
		if (route->pump != NULL)
			pump_settle(route->pump, &ps);
}

static void put_pump(struct state_out *o, struct pump *p, struct fds *fds)
{
	struct pump_state ps;

	pump_settle(p, &ps);		/* it is: nothing changes */
	state_put(o, fds_add(fds, ps.fd));
	state_put_bool(o, ps.in_ended);
	state_put_bool(o, ps.out_ended);
	state_put(o, ps.bytes_in);
	state_put(o, ps.bytes_out);
}

static void put_route(struct state_out *o, const struct route *route,
    struct fds *fds)
{
	uint8_t id[RECORD_ID_LEN] = { 0 };

	(void)keyfile_id_decode(route->owner.session,
	    strlen(route->owner.session), id);	/* it was encoded here */
	state_section(o, STATE_ROUTE);
	state_put_raw(o, id, sizeof(id));
	state_put(o, route->stream_id);
	state_put_age(o, route->opened_ms);
	state_put(o, step_of(route));
	state_put_text(o, route->server);
	state_put(o, uv_timer_get_due_in(&route->first_bytes));
	if (route->pump != NULL)
		put_pump(o, route->pump, fds);
	state_section_end(o);
}

void router_export(const struct router *r, struct state_out *o,
    struct fds *fds)
{
	const struct route *route;

	TAILQ_FOREACH(route, &r->routes, link)
		put_route(o, route, fds);
}

/* ---- the other end ---------------------------------------------------- */

static void on_tcp_closed(uv_handle_t *handle)
{
	free(handle);
}

static int open_tcp(uv_loop_t *loop, int fd, uv_tcp_t **out)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));

	if (tcp == NULL)
		return ERR_NOMEM;
	if (uv_tcp_init(loop, tcp) != 0) {
		free(tcp);
		return ERR_NOMEM;
	}
	if (uv_tcp_open(tcp, fd) != 0) {
		uv_close((uv_handle_t *)tcp, on_tcp_closed);
		return ERR_IO;
	}
	*out = tcp;
	return 0;
}

static int get_pump(struct route *route, struct state_in *in, struct fds *fds)
{
	struct pump_state ps;
	uv_tcp_t *tcp;
	int rc;

	ps.fd = fds_take(fds, state_get(in, WIRE_VARINT_MAX));
	ps.in_ended = state_get_bool(in);
	ps.out_ended = state_get_bool(in);
	ps.bytes_in = state_get(in, WIRE_VARINT_MAX);
	ps.bytes_out = state_get(in, WIRE_VARINT_MAX);
	rc = ps.fd < 0 || in->bad ? ERR_PROTO : 0;
	if (rc == 0)
		rc = open_tcp(route->router->loop, ps.fd, &tcp);
	if (rc != 0) {
		if (ps.fd >= 0)
			close(ps.fd);
		return rc;
	}
	rc = pump_resume(&route->pump, tcp, route->stream, &ps,
	    &route_pump_ops, route);
	if (rc != 0)
		uv_close((uv_handle_t *)tcp, on_tcp_closed);
	return rc;
}

int router_import(struct router *r, const struct router_owner *owner,
    struct stream *st, struct state_in *in, struct fds *fds)
{
	char name[NRPC_NAME_MAX + 1];
	uint64_t opened_ms = state_get_at(in);
	enum step step = (enum step)state_get(in, STEP_PUMP);
	struct route *route;
	int rc = 0;

	state_get_text(in, name, NRPC_NAME_MAX);
	state_refuse_if(in, (step == STEP_NAME) != (name[0] == '\0'));
	/* Whatever the limits are now: it is there already. */
	if (quota_take(r->quota, owner->key, UINT64_MAX, UINT64_MAX) !=
	    QUOTA_OK)
		return ERR_NOMEM;
	route = route_new(r, owner, st, opened_ms);
	if (route == NULL)
		return ERR_NOMEM;
	route->wait_ms = state_get(in, WIRE_VARINT_MAX);
	if (step != STEP_NAME) {
		route->server = strdup(name);
		if (route->server == NULL)
			return ERR_NOMEM;
	}
	if (step == STEP_PUMP)
		rc = get_pump(route, in, fds);
	return rc != 0 ? rc : state_done(in);
}

/* May end the route. */
static void start(struct route *route)
{
	char *name = route->server;

	switch (step_of(route)) {
	case STEP_NAME:
		route_wait_for_name(route, route->wait_ms);
		return;
	case STEP_CONNECT:
		route->server = NULL;
		route_to(route, name, strlen(name));
		free(name);
		return;
	case STEP_PUMP:
		pump_start(route->pump);
		return;
	}
}

void router_start(struct router *r)
{
	struct router_rules rules = r->rules;
	struct route *route, *next;

	for (route = TAILQ_FIRST(&r->routes); route != NULL; route = next) {
		next = TAILQ_NEXT(route, link);
		start(route);
	}
	/* The rules may be others than those by which they were let in. */
	router_update(r, &rules);
}
