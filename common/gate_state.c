#include "config.h"

#include "common/gate_state.h"

#include <string.h>

#include "common/err.h"
#include "common/gate_impl.h"
#include "common/session_state.h"

/* ---- one session ------------------------------------------------------ */

static void put_lanes(struct state_out *o, const struct gate_session *gs)
{
	for (size_t i = 0; i < gs->lanes; i++) {
		if (!gs->lane[i].used)
			continue;
		state_put(o, i);
		state_put(o, gs->lane[i].exchange);
	}
	state_put(o, SESSION_LANES);	/* that was the last one */
}

static int get_lanes(struct state_in *in, struct gate_session *gs)
{
	struct gate_lane *lane;
	uint64_t i;

	while (!in->bad && (i = state_get(in, SESSION_LANES)) < SESSION_LANES) {
		lane = gate_session_lane(gs, i);
		if (lane == NULL)
			return ERR_NOMEM;
		lane->used = true;
		lane->exchange = state_get(in, WIRE_VARINT_MAX);
	}
	return 0;
}

static void put_session(struct state_out *o, const struct gate_session *gs)
{
	state_section(o, STATE_SESSION);
	state_put_raw(o, gs->id, sizeof(gs->id));
	state_put_raw(o, gs->key, sizeof(gs->key));
	state_put_bool(o, gs->confirmed);
	state_put_text(o, gs->agent);
	state_put_age(o, gs->used_ms);
	state_put(o, gs->keep);
	state_put(o, gs->response_cap);
	state_put(o, gs->streams_refused);
	state_put_bool(o, gs->stores);
	state_put(o, gs->offered);
	state_put_raw(o, gs->hello_hash, sizeof(gs->hello_hash));
	state_put_bytes(o, gs->reply, gs->reply_len);
	put_lanes(o, gs);
	session_export(gs->session, o);
	state_section_end(o);
}

static int get_session(struct state_in *in, struct gate_session *gs)
{
	const uint8_t *reply;

	state_get_text(in, gs->agent, HELLO_AGENT_MAX);
	gs->used_ms = state_get_at(in);
	gs->keep = state_get(in, WIRE_VARINT_MAX);
	gs->response_cap = state_get(in, WIRE_VARINT_MAX / 2);
	gs->streams_refused = state_get(in, WIRE_VARINT_MAX);
	gs->stores = state_get_bool(in);
	gs->offered = (uint16_t)state_get(in, UINT16_MAX);
	state_get_raw(in, gs->hello_hash, sizeof(gs->hello_hash));
	reply = state_get_bytes(in, HELLO_MAX, &gs->reply_len);
	if (reply != NULL)
		memcpy(gs->reply, reply, gs->reply_len);
	return get_lanes(in, gs);
}

static int take_session(struct gate *g, struct state_in *in)
{
	uint8_t id[RECORD_ID_LEN], key[32];
	struct session *s;
	struct gate_session *gs;
	bool confirmed;
	int rc;

	state_get_raw(in, id, sizeof(id));
	state_get_raw(in, key, sizeof(key));
	confirmed = state_get_bool(in);
	if (in->bad || gate_find(g, id) != NULL)
		return ERR_PROTO;
	rc = gate_session_new(&gs, g, id, key, NULL, in->now_ms);
	if (rc != 0)
		return rc;
	rc = get_session(in, gs);
	if (rc != 0)
		return rc;
	rc = session_import(&s, in, id, &gs->owner->budget, &g->pages,
	    gate_session_ops(), gs);
	if (rc != 0)
		return rc;
	session_free(gs->session);
	gs->session = s;
	if (state_done(in) != 0 || session_is_closed(s))
		return ERR_PROTO;
	gate_session_restored(gs, confirmed);
	return 0;
}

/* ---- all of them ------------------------------------------------------ */

static void put_list(struct state_out *o, const struct gate_list *l)
{
	for (const struct gate_session *gs = l->head; gs != NULL;
	    gs = gs->next)
		put_session(o, gs);
}

void gate_export(const struct gate *g, struct state_out *o)
{
	state_section(o, STATE_GATE);
	state_put(o, g->stats.hellos);
	state_put(o, g->stats.refused);
	state_put(o, g->stats.bytes_in);
	state_put(o, g->stats.bytes_out);
	state_put(o, g->stats.limited);
	state_section_end(o);
	put_list(o, &g->live);
	put_list(o, &g->fresh);
}

int gate_import(struct gate *g, enum state_type type, struct state_in *body)
{
	g->now_ms = body->now_ms;
	if (type == STATE_SESSION)
		return take_session(g, body);
	if (type != STATE_GATE)
		return ERR_PROTO;
	g->stats.hellos = state_get(body, WIRE_VARINT_MAX);
	g->stats.refused = state_get(body, WIRE_VARINT_MAX);
	g->stats.bytes_in = state_get(body, WIRE_VARINT_MAX);
	g->stats.bytes_out = state_get(body, WIRE_VARINT_MAX);
	g->stats.limited = state_get(body, WIRE_VARINT_MAX);
	return state_done(body);
}

const struct noise_keys *gate_keys(const struct gate *g)
{
	return &g->cfg.keys;
}

struct gate_session *gate_session_find(struct gate *g,
    const uint8_t id[RECORD_ID_LEN])
{
	return gate_find(g, id);
}

bool gate_all_taken(const struct gate *g)
{
	const struct gate_list *lists[] = { &g->live, &g->fresh };
	const struct gate_session *gs;

	for (size_t i = 0; i < 2; i++)
		for (gs = lists[i]->head; gs != NULL; gs = gs->next)
			if (!session_all_taken(gs->session))
				return false;
	return true;
}

void gate_skip_numbers(struct gate *g)
{
	struct gate_list *lists[] = { &g->live, &g->fresh };
	struct gate_session *gs;

	for (size_t i = 0; i < 2; i++)
		for (gs = lists[i]->head; gs != NULL; gs = gs->next)
			session_skip_numbers(gs->session);
}
