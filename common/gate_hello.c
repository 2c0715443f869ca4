/* Admission: nothing that the network says before a hello is believed. */
#include "config.h"

#include "common/gate_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* Sessions of one device that wait for their first record, at least. */
#define FRESH_MIN 4u

/*
 * Room for one more that waits for its first record? As many as the device may
 * have sessions, so that those that it begins at the same time do not push
 * each other out; beyond, the oldest goes, so that whoever repeats hellos
 * that he has recorded keeps nobody out for long.
 */
static void make_fresh_room(struct gate *g, const uint8_t key[32])
{
	const struct gate_device *d = gate_device_find(g, key);
	unsigned max = g->cfg.max_device_sessions;

	if (max < FRESH_MIN)
		max = FRESH_MIN;
	if (d == NULL || d->fresh < max)
		return;
	gate_limit(g, GATE_LIMIT_DEVICE_SESSIONS, g->cfg.max_device_sessions,
	    key, NULL);
	gate_session_free(gate_device_oldest(d, &g->fresh));
}

/* Room for one more session? */
static enum hello_status make_room(struct gate *g, const uint8_t key[32])
{
	if (g->draining)
		return HELLO_BUSY;
	make_fresh_room(g, key);
	/* Those that have ended are kept for politeness only. */
	while (g->session_count >= g->cfg.max_sessions &&
	    g->ended.head != NULL)
		gate_session_free(g->ended.head);
	if (g->session_count < g->cfg.max_sessions)
		return HELLO_CREATED;
	gate_limit(g, GATE_LIMIT_SESSIONS, g->cfg.max_sessions, key, NULL);
	return HELLO_BUSY;
}

/*
 * A session has proved to be alive: if the device now has too many, the one
 * that it has not used for longest goes. Not before, or a replayed hello
 * could end a session.
 */
void gate_hello_confirmed(struct gate_session *gs)
{
	struct gate *g = gs->g;

	if (gs->owner->live <= g->cfg.max_device_sessions)
		return;
	gate_limit(g, GATE_LIMIT_DEVICE_SESSIONS, g->cfg.max_device_sessions,
	    gs->key, gs->id);
	gate_session_close(gate_device_oldest(gs->owner, &g->live),
	    SESSION_REPLACED, "too many sessions of this device");
}

/* A hello for a session that is there: may it change its keys? */
static bool may_resume(const struct gate_session *gs, const uint8_t key[32],
    uint16_t generation)
{
	return memcmp(gs->key, key, sizeof(gs->key)) == 0 &&
	    !session_confirmed(gs->session, generation) &&
	    generation >= gs->offered;
}

static void set_reply(struct gate_exchange *x, const uint8_t *reply,
    size_t len)
{
	x->reply = malloc(len);
	if (x->reply == NULL) {
		x->state = GATE_REFUSED;
		return;
	}
	memcpy(x->reply, reply, len);
	x->reply_len = len;
	x->state = GATE_READY;
}

/* Write the answer, and put the keys it made where they belong. */
static void answer(struct gate_exchange *x, struct gate_session *gs,
    struct noise *state, const struct hello *h, enum hello_status status)
{
	struct gate *g = x->g;
	/* A session keeps the limits that it began with. */
	const struct session_config *limits = gs != NULL ?
	    session_limits(gs->session) : &g->cfg.session;
	struct hello_answer a = {
		.status = status,
		.initial_window = limits->initial_window,
		.max_streams = limits->max_streams,
		.hold_max_ms = g->cfg.hold_max_ms,
		.linger_ms = g->cfg.linger_ms,
		.http2_window = g->cfg.http2_window,
		.open_request_max = g->cfg.open_request_max,
		.query_max = g->cfg.query_max,
	};
	struct hello_keys k = { 0 };
	uint8_t reply[HELLO_MAX];
	size_t len;
	int rc;

	snprintf(a.agent, sizeof(a.agent), "nrpc-gateway/%s", PACKAGE_VERSION);
	rc = hello_reply(state, &a, reply, &len, &k);
	if (rc == 0 && gs != NULL)
		rc = session_keys(gs->session, h->generation, k.from_gateway,
		    k.from_client, false);
	crypto_wipe(&k, sizeof(k));
	if (rc != 0)
		return;
	if (gs != NULL) {
		session_peer(gs->session, h->initial_window, h->max_streams);
		gs->offered = h->generation;
		memcpy(gs->agent, h->agent, sizeof(gs->agent));
		crypto_sha256(gs->hello_hash, x->part, x->part_len, NULL, 0);
		memcpy(gs->reply, reply, len);
		gs->reply_len = len;
	}
	set_reply(x, reply, len);
}

static bool is_repeated(const struct gate_session *gs,
    const struct gate_exchange *x)
{
	uint8_t hash[32];

	crypto_sha256(hash, x->part, x->part_len, NULL, 0);
	return gs->reply_len > 0 &&
	    crypto_equal(hash, gs->hello_hash, sizeof(hash));
}

/* With the key as `device add` takes it. */
static void note_refused(struct gate *g, const uint8_t key[32],
    enum hello_status status)
{
	char text[CRYPTO_BASE64_LEN(32) + 1];

	crypto_base64_encode(text, key, 32);
	gate_note(g, "hello refused key=%s why=\"%s\"", text,
	    hello_status_text(status));
}

static void admit(struct gate_exchange *x, struct noise *state,
    const struct hello *h, uint64_t now_ms)
{
	struct gate *g = x->g;
	const uint8_t *key = noise_remote(state);
	struct gate_session *gs = gate_find(g, x->id);
	enum hello_status status;
	void *device = NULL;

	if (gs != NULL && gs->ended) {
		gate_session_free(gs);
		gs = NULL;
	}
	if (gs != NULL && !may_resume(gs, key, h->generation))
		return;
	if (gs != NULL && h->generation == gs->offered &&
	    is_repeated(gs, x)) {
		set_reply(x, gs->reply, gs->reply_len);
		return;
	}
	status = g->ops->authorize(g->ctx, key, &device);
	if (status == HELLO_CREATED && gs == NULL)
		status = make_room(g, key);
	else if (status == HELLO_CREATED && gs->confirmed)
		status = HELLO_RESUMED;
	if (status == HELLO_CREATED && gs == NULL &&
	    gate_session_new(&gs, g, x->id, key, device, now_ms) != 0)
		status = HELLO_BUSY;
	if (status != HELLO_CREATED && status != HELLO_RESUMED) {
		if (status != HELLO_BUSY)	/* the limit has its line */
			note_refused(g, key, status);
		gs = NULL;
	}
	if (status == HELLO_RESUMED)
		g->stats.resumed++;
	answer(x, gs, state, h, status);
}

/* What follows takes time: is it granted? */
static bool may_cost(struct gate *g)
{
	if (g->ops->may_hello == NULL || g->ops->may_hello(g->ctx))
		return true;
	g->stats.limited++;
	return false;
}

void gate_hello(struct gate_exchange *x, uint64_t now_ms)
{
	struct noise *state = NULL;
	struct hello h;
	size_t whole;

	x->g->stats.hellos++;
	x->state = GATE_REFUSED;
	if (hello_peek(HELLO_MARK, x->part, x->part_len, &whole) == 0 &&
	    whole == x->part_len && may_cost(x->g) &&
	    hello_accept(&state, &x->g->cfg.keys, x->id, x->part, x->part_len,
	    &h) == 0)
		admit(x, state, &h, now_ms);
	noise_free(state);
	if (x->state == GATE_REFUSED)
		x->g->stats.refused++;
}
