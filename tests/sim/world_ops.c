/* The owner of the engines: what they ask for, and what they tell. */
#include "config.h"

#include "tests/sim/world_impl.h"

#include <inttypes.h>
#include <string.h>

/* ---- a client's ------------------------------------------------------- */

static void on_post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct world *w = ctx;

	net_post(&w->net, slot, body, len, path, fresh);
}

static void on_query(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct world *w = ctx;

	net_query(&w->net, slot, body, len, path, fresh);
}

static void on_open_body(void *ctx, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh)
{
	struct world *w = ctx;

	net_open(&w->net, slot, body, len, path, fresh);
}

static void on_append(void *ctx, unsigned slot, const uint8_t *data,
    size_t len)
{
	struct world *w = ctx;

	net_append(&w->net, slot, data, len);
}

static void on_finish(void *ctx, unsigned slot)
{
	struct world *w = ctx;

	net_finish(&w->net, slot);
}

static size_t on_unsent(void *ctx, unsigned slot)
{
	struct world *w = ctx;

	return net_unsent(&w->net, slot);
}

static void on_move(void *ctx, unsigned from, unsigned to)
{
	struct world *w = ctx;

	net_move(&w->net, from, to);
}

static void on_cancel(void *ctx, unsigned slot)
{
	struct world *w = ctx;

	net_cancel(&w->net, slot);
}

static void on_state(void *ctx, enum lanes_state state, const char *why)
{
	struct world *w = ctx;

	trace_say(w->net.trace, "client %s: %s",
	    state == LANES_UP ? "up" : "down", why);
}

static void on_lanes_wake(void *ctx)
{
	struct world *w = ctx;

	w->lanes_woken = true;
}

static uint32_t on_random(void *ctx)
{
	struct world *w = ctx;

	return (uint32_t)rng_next(&w->rng);
}

const struct lanes_ops world_lanes_ops = {
	.post = on_post,
	.query = on_query,
	.move = on_move,
	.cancel = on_cancel,
	.on_state = on_state,
	.on_wake = on_lanes_wake,
	.random = on_random,
	.open = on_open_body,
	.append = on_append,
	.finish = on_finish,
	.unsent = on_unsent,
};

/* ---- the gateway's ---------------------------------------------------- */

static enum hello_status on_authorize(void *ctx, const uint8_t key[32],
    void **device)
{
	struct world *w = ctx;

	if (memcmp(key, w->client.device.pub, 32) != 0)
		return HELLO_UNKNOWN_DEVICE;
	*device = w;
	return HELLO_CREATED;
}

/* Whose session begins? */
static struct world *client_of(struct world *w, struct gate_session *gs)
{
	struct world *c = w;

	do
		if (memcmp(lanes_id(c->lanes), gate_session_id(gs),
		    RECORD_ID_LEN) == 0)
			return c;
	while ((c = c->next) != NULL);
	return w;	/* one that the client has given up meanwhile */
}

static void on_session(void *ctx, struct gate_session *gs, void *device)
{
	struct world *w = ctx, *c = client_of(w, gs);

	if (w->gate_upgrading) {	/* it has begun before */
		gate_session_set_user(gs, c);
		return;
	}
	trace_say(&w->trace, "gate session begins");
	if (c->session != NULL)
		trace_fail(&w->trace, "a second session for the same client");
	if (device != w && device != NULL)	/* NULL: from a state */
		trace_fail(&w->trace, "on_session names another device");
	gate_session_set_user(gs, c);
	c->session = gs;
	c->net.session_serial = ++c->sessions;
	c->net.last_taken_ms = w->events.now_ms;
	c->apps.gate_has_session = true;
}

static void on_session_end(void *ctx, struct gate_session *gs,
    const char *why)
{
	struct world *w = ctx, *c = gate_session_user(gs);
	uint64_t silent_ms;

	if (w->gate_upgrading)		/* it goes on in another gateway */
		return;
	silent_ms = w->events.now_ms - c->net.last_taken_ms;
	trace_say(&w->trace, "gate session ends: %s", why);
	if (gs != c->session)
		trace_fail(&w->trace, "an unknown session ends: %s", why);
	if (!w->gate_ending && !c->leaving &&
	    silent_ms < w->server.linger_ms)
		trace_fail(&w->trace, "the session ends after %" PRIu64
		    " ms of silence: %s", silent_ms, why);
	c->session = NULL;
	c->net.session_serial = 0;
	c->apps.gate_has_session = false;
}

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	struct world *w = ctx, *c = gate_session_user(gs);

	if (gs != c->session)
		trace_fail(&w->trace, "a stream opens in another session");
	apps_on_open(&c->apps, st, name, name_len);
}

static void on_gate_wake(void *ctx)
{
	struct world *w = ctx;

	w->gate_woken = true;
}

static void on_note(void *ctx, const char *line)
{
	struct world *w = ctx;

	trace_say(&w->trace, "gate notes: %s", line);
}

const struct gate_ops world_gate_ops = {
	.authorize = on_authorize,
	.on_session = on_session,
	.on_session_end = on_session_end,
	.on_open = on_open,
	.on_wake = on_gate_wake,
	.on_note = on_note,
};
