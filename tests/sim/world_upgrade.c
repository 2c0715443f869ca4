/* A gateway that another one takes the place of. */
#include "config.h"

#include "tests/sim/world_impl.h"

#include "common/buf.h"
#include "common/gate_state.h"
#include "common/state.h"

#define STATE_MAX ((size_t)256 << 20)
#define LET_GO_MS 100u

static int sink(void *ctx, const void *data, size_t len)
{
	return buf_append(ctx, data, len);
}

static bool write_state(struct world *w, struct buf *out)
{
	struct state_out o;

	buf_init(out, STATE_MAX);
	state_begin(&o, sink, out, net_gate_now(&w->net));
	gate_export(w->gate, &o);
	if (state_finish(&o) == 0)
		return true;
	trace_fail(&w->trace, "the state cannot be written");
	return false;
}

static bool read_state(struct world *w, const struct buf *from,
    struct gate *into)
{
	char why[STATE_WHY_MAX];
	struct state_in in, body;
	enum state_type type;
	int rc = state_open(&in, buf_data(from), buf_len(from),
	    net_gate_now(&w->net), why);

	while (rc == 0 && state_next(&in, &type, &body))
		rc = gate_import(into, type, &body);
	if (rc != 0)
		trace_fail(&w->trace, "the state is refused: %d", rc);
	return rc == 0;
}

/* Everybody's sessions and streams are those of the new gateway now. */
static void move_over(struct world *w, struct gate *fresh)
{
	for (struct world *c = w; c != NULL; c = c->next) {
		c->net.gate = fresh;
		if (c->session == NULL)
			continue;
		c->session = gate_session_find(fresh,
		    gate_session_id(c->session));
		if (c->session != NULL)
			apps_gate_upgraded(&c->apps,
			    gate_session_session(c->session));
		else
			trace_fail(&w->trace, "a session is not in the state");
	}
}

static void hand_over(struct world *w, bool in_vain)
{
	struct gate *fresh = NULL, *old = w->gate;
	struct buf state;
	bool good;

	for (struct world *c = w; c != NULL; c = c->next)
		net_gate_down(&c->net);
	good = write_state(w, &state) && gate_new(&fresh, &w->server,
	    &world_gate_ops, w) == 0 && read_state(w, &state, fresh);
	buf_fini(&state);
	if (good && !in_vain) {
		move_over(w, fresh);
		w->gate = fresh;
		gate_free(old);
	} else {
		gate_free(fresh);
		gate_skip_numbers(old);
		gate_let_go(old, false);
	}
	w->gate_woken = true;
}

static void on_let_go(void *ctx)
{
	struct world *w = ctx;
	struct gate *letting_go = w->letting_go;

	w->letting_go = NULL;
	if (letting_go == NULL || w->gate != letting_go)
		return;			/* restarted meanwhile */
	trace_say(&w->trace, "gate upgraded%s", w->in_vain ? " in vain" : "");
	w->gate_upgrading = true;
	hand_over(w, w->in_vain);
	w->gate_upgrading = false;
}

void world_upgrade_gate(struct world *w, bool in_vain)
{
	uint64_t wait_ms;

	if (w->gate == NULL || w->letting_go == w->gate)
		return;
	wait_ms = rng_below(&w->rng, LET_GO_MS);
	w->in_vain = in_vain;
	w->letting_go = w->gate;
	gate_let_go(w->gate, true);
	for (struct world *c = w; c != NULL; c = c->next) {
		c->net.quiet_from_ms = w->events.now_ms;
		c->net.quiet_until_ms = w->events.now_ms + wait_ms;
	}
	events_after(&w->events, wait_ms, on_let_go, w);
}
