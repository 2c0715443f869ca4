#include "config.h"

#include "common/gate_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/lane_table.h"

#define PAGES_KEEP 1024u	/* free ones of all sessions: 4 MiB */
#define ENDED_MS 5000u		/* an ended session says so for that long */

void gate_defaults(struct gate_config *c)
{
	session_defaults(&c->session, false);
	c->max_sessions = 10000;
	c->max_device_sessions = 8;
	c->max_device_memory = 64u << 20;
	c->max_memory = 512u << 20;
	c->linger_ms = 15 * 60 * 1000;
	c->unconfirmed_ms = 30 * 1000;
	c->hold_max_ms = 45 * 1000;
	c->http2_window = 0;
	c->response_first = 4u << 20;
	c->response_max = 256u << 20;
	c->response_ms = 30 * 1000;
	c->request_max = 1u << 20;
	c->open_request_max = 16u << 20;
	c->query_max = CRYPTO_BASE64_MAX;
}

int gate_new(struct gate **out, const struct gate_config *c,
    const struct gate_ops *ops, void *ctx)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return ERR_NOMEM;
	g->cfg = *c;
	g->budget.max = c->max_memory;
	g->budget.on_full = gate_device_full;
	page_pool_init(&g->pages, PAGES_KEEP);
	g->ops = ops;
	g->ctx = ctx;
	*out = g;
	return 0;
}

void gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	while (g->live.head != NULL)
		gate_session_free(g->live.head);
	while (g->fresh.head != NULL)
		gate_session_free(g->fresh.head);
	while (g->ended.head != NULL)
		gate_session_free(g->ended.head);
	page_pool_fini(&g->pages);
	crypto_wipe(&g->cfg.keys, sizeof(g->cfg.keys));
	free(g);
}

void gate_reconfigure(struct gate *g, const struct gate_config *c)
{
	struct noise_keys keys = g->cfg.keys;

	g->cfg = *c;
	g->cfg.keys = keys;
	g->budget.max = c->max_memory;
	crypto_wipe(&keys, sizeof(keys));
}

const char *gate_limit_name(enum gate_limit limit)
{
	switch (limit) {
	case GATE_LIMIT_SESSIONS:
		return "max_sessions";
	case GATE_LIMIT_DEVICE_SESSIONS:
		return "max_device_sessions";
	case GATE_LIMIT_STREAMS:
		return "max_streams";
	case GATE_LIMIT_DEVICE_MEMORY:
		return "max_device_memory";
	case GATE_LIMIT_MEMORY:
		return "max_memory";
	case GATE_LIMITS:
		break;
	}
	return "unknown";
}

void gate_limit(struct gate *g, enum gate_limit limit, uint64_t value,
    const uint8_t key[32], const uint8_t *id)
{
	if (g->ops->on_limit != NULL)
		g->ops->on_limit(g->ctx, limit, value, key, id);
}

void gate_note(struct gate *g, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	g->ops->on_note(g->ctx, line);
}

/* ---- the table -------------------------------------------------------- */

static struct gate_session **bucket(struct gate *g,
    const uint8_t id[RECORD_ID_LEN])
{
	uint32_t h;

	/* The id is random where the client is honest, and ours to bound. */
	memcpy(&h, id, sizeof(h));
	return &g->buckets[h % GATE_BUCKETS];
}

struct gate_session *gate_find(struct gate *g,
    const uint8_t id[RECORD_ID_LEN])
{
	struct gate_session *gs = *bucket(g, id);

	while (gs != NULL && memcmp(gs->id, id, RECORD_ID_LEN) != 0)
		gs = gs->bucket_next;
	return gs;
}

struct gate_list *gate_list_of(struct gate_session *gs)
{
	if (gs->ended)
		return &gs->g->ended;
	return gs->confirmed ? &gs->g->live : &gs->g->fresh;
}

static void list_append(struct gate_session *gs)
{
	struct gate_list *l = gate_list_of(gs);

	gs->next = NULL;
	gs->prev = l->tail;
	if (l->tail != NULL)
		l->tail->next = gs;
	else
		l->head = gs;
	l->tail = gs;
	(*gate_device_count(gs))++;
	gate_device_used(gs);
}

static void list_remove(struct gate_session *gs)
{
	struct gate_list *l = gate_list_of(gs);

	if (gs->prev != NULL)
		gs->prev->next = gs->next;
	else
		l->head = gs->next;
	if (gs->next != NULL)
		gs->next->prev = gs->prev;
	else
		l->tail = gs->prev;
	(*gate_device_count(gs))--;
}

void gate_session_used(struct gate_session *gs, uint64_t now_ms)
{
	if (gs->ended)
		return;
	list_remove(gs);
	gs->used_ms = now_ms;
	list_append(gs);
}

void gate_session_dirty(struct gate_session *gs)
{
	if (gs->dirty)
		return;
	gs->dirty = true;
	gs->dirty_next = gs->g->dirty;
	gs->g->dirty = gs;
	gs->g->ops->on_wake(gs->g->ctx);
}

struct gate_lane *gate_session_lane(struct gate_session *gs, uint64_t number)
{
	struct gate_lane *table = lane_table_reach(gs->lane, &gs->lanes,
	    sizeof(*table), number);

	if (table == NULL)
		return NULL;
	gs->lane = table;
	return &table[number];
}

/* ---- what a session tells --------------------------------------------- */

void gate_session_confirm(struct gate_session *gs)
{
	if (gs->confirmed || gs->ended)
		return;
	list_remove(gs);
	gs->confirmed = true;
	gs->g->stats.begun++;
	list_append(gs);
	session_ping(gs->session);	/* how far away is it? */
	gs->g->ops->on_session(gs->g->ctx, gs, gs->device);
	gate_hello_confirmed(gs);
}

static void on_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	struct gate_session *gs = ctx;

	gate_session_confirm(gs);
	gs->g->ops->on_open(gs->g->ctx, gs, st, name, name_len);
}

static void on_wake(void *ctx)
{
	gate_session_dirty(ctx);
}

/* It ended, whoever ended it: kept only to say so. */
static void end(struct gate_session *gs, const char *why)
{
	bool was_known = gs->confirmed;

	if (gs->ended)
		return;
	list_remove(gs);
	gs->ended = true;
	gs->used_ms = gs->g->now_ms;
	list_append(gs);
	gate_session_dirty(gs);
	if (was_known)
		gs->g->ops->on_session_end(gs->g->ctx, gs, why);
}

static void on_close(void *ctx, uint64_t code, const char *text)
{
	(void)code;
	end(ctx, text);
}

static const struct session_ops session_ops = { on_open, on_wake, on_close };

const struct session_ops *gate_session_ops(void)
{
	return &session_ops;
}

void gate_session_restored(struct gate_session *gs, bool confirmed)
{
	list_remove(gs);
	gs->confirmed = confirmed;
	list_append(gs);
	if (confirmed)
		gs->g->ops->on_session(gs->g->ctx, gs, gs->device);
}

int gate_session_new(struct gate_session **out, struct gate *g,
    const uint8_t id[RECORD_ID_LEN], const uint8_t key[32], void *device,
    uint64_t now_ms)
{
	struct gate_session *gs = calloc(1, sizeof(*gs));
	struct session_config limits = g->cfg.session;
	int rc;

	if (gs == NULL)
		return ERR_NOMEM;
	gs->g = g;
	memcpy(gs->id, id, sizeof(gs->id));
	memcpy(gs->key, key, sizeof(gs->key));
	rc = gate_device_join(gs);
	if (rc != 0)
		goto fail;
	limits.budget = &gs->owner->budget;
	limits.pages = &g->pages;
	rc = session_new(&gs->session, id, &limits, &session_ops, gs);
	if (rc != 0)
		goto fail;
	gs->device = device;
	gs->held.tail = &gs->held.head;
	gs->bulk.tail = &gs->bulk.head;
	gs->keep = 1;
	gs->response_cap = g->cfg.response_first;
	gs->used_ms = now_ms;
	gs->bucket_next = *bucket(g, id);
	*bucket(g, id) = gs;
	list_append(gs);
	g->session_count++;
	*out = gs;
	return 0;

fail:
	session_free(gs->session);
	if (gs->owner != NULL)
		gate_device_leave(gs);
	free(gs);
	return rc;
}

static void add_records(struct gate_stats *stats,
    const struct gate_session *gs)
{
	struct session_stats s;

	session_get_stats(gs->session, &s);
	stats->records_in += s.records_in;
	stats->records_out += s.records_out;
}

void gate_session_free(struct gate_session *gs)
{
	struct gate *g = gs->g;
	struct gate_session **at;

	end(gs, "the session expired");
	while (gs->exchanges != NULL)
		gate_exchange_orphan(gs->exchanges);
	for (at = &g->dirty; *at != NULL; at = &(*at)->dirty_next)
		if (*at == gs) {
			*at = gs->dirty_next;
			break;
		}
	for (at = bucket(g, gs->id); *at != gs;)
		at = &(*at)->bucket_next;
	*at = gs->bucket_next;
	list_remove(gs);
	add_records(&g->stats, gs);
	g->session_count--;
	session_close_streams(gs->session, STREAM_SESSION_LOST);
	session_free(gs->session);
	gate_device_leave(gs);
	free(gs->lane);
	crypto_wipe(gs->reply, sizeof(gs->reply));
	free(gs);
}

/* ---- time ------------------------------------------------------------- */

static void expire(struct gate_list *l, uint64_t life_ms, uint64_t now_ms)
{
	struct gate_session *gs;

	while ((gs = l->head) != NULL && now_ms - gs->used_ms >= life_ms) {
		/* Somebody waits for an answer, however short the life. */
		if (!gs->ended &&
		    (gs->held.head != NULL || gs->bulk.head != NULL))
			gate_session_used(gs, now_ms);
		else
			gate_session_free(gs);
	}
}

void gate_run(struct gate *g, uint64_t now_ms)
{
	struct gate_exchange *x;
	struct gate_session *gs;

	g->now_ms = now_ms;
	while ((x = g->due_head) != NULL && x->due_ms <= now_ms)
		gate_exchange_due(x, now_ms);
	while ((gs = g->dirty) != NULL) {
		g->dirty = gs->dirty_next;
		gs->dirty = false;
		gate_exchange_policy(gs, now_ms);
	}
	expire(&g->live, g->cfg.linger_ms, now_ms);
	expire(&g->fresh, g->cfg.unconfirmed_ms, now_ms);
	expire(&g->ended, ENDED_MS, now_ms);
}

static void sooner(uint64_t *at, const struct gate_list *l, uint64_t life_ms)
{
	if (l->head != NULL && l->head->used_ms + life_ms < *at)
		*at = l->head->used_ms + life_ms;
}

uint64_t gate_deadline(const struct gate *g)
{
	uint64_t at = g->due_head != NULL ? g->due_head->due_ms : UINT64_MAX;

	sooner(&at, &g->live, g->cfg.linger_ms);
	sooner(&at, &g->fresh, g->cfg.unconfirmed_ms);
	sooner(&at, &g->ended, ENDED_MS);
	return g->dirty != NULL ? 0 : at;
}

/* ---- for the owner ---------------------------------------------------- */

struct session *gate_session_session(struct gate_session *gs)
{
	return gs->session;
}

const uint8_t *gate_session_id(const struct gate_session *gs)
{
	return gs->id;
}

const uint8_t *gate_session_key(const struct gate_session *gs)
{
	return gs->key;
}

const char *gate_session_agent(const struct gate_session *gs)
{
	return gs->agent;
}

void *gate_session_user(const struct gate_session *gs)
{
	return gs->user;
}

void gate_session_set_user(struct gate_session *gs, void *user)
{
	gs->user = user;
}

void gate_session_close(struct gate_session *gs, uint64_t code,
    const char *text)
{
	if (gs->ended)
		return;
	session_close(gs->session, code, text);
	end(gs, text);
}

unsigned gate_close_device(struct gate *g, const uint8_t key[32],
    uint64_t code, const char *text)
{
	const struct gate_device *d = gate_device_find(g, key);
	struct gate_session *gs = d == NULL ? NULL : d->sessions, *next;
	unsigned n = 0;

	for (; gs != NULL; gs = next) {
		next = gs->device_next;	/* it moves to the front */
		if (gs->ended)
			continue;
		gate_session_close(gs, code, text);
		n++;
	}
	return n;
}

unsigned gate_close_all(struct gate *g, uint64_t code, const char *text)
{
	struct gate_list *lists[] = { &g->live, &g->fresh };
	unsigned n = 0;

	for (size_t i = 0; i < 2; i++)
		for (; lists[i]->head != NULL; n++)
			gate_session_close(lists[i]->head, code, text);
	return n;
}

void gate_drain(struct gate *g)
{
	g->draining = true;
}

void gate_get_stats(const struct gate *g, struct gate_stats *out)
{
	const struct gate_list *lists[] = { &g->live, &g->fresh, &g->ended };
	const struct gate_session *gs;
	struct session_stats s;

	*out = g->stats;
	out->memory = g->budget.used;
	for (size_t i = 0; i < 3; i++)
		for (gs = lists[i]->head; gs != NULL; gs = gs->next)
			add_records(out, gs);
	for (gs = g->live.head; gs != NULL; gs = gs->next) {
		session_get_stats(gs->session, &s);
		out->sessions++;
		out->streams += s.streams;
		out->held += gs->held.count + gs->bulk.count;
	}
}

void gate_each(struct gate *g, void (*fn)(void *ctx, struct gate_session *gs),
    void *ctx)
{
	for (struct gate_session *gs = g->live.head; gs != NULL;
	    gs = gs->next)
		fn(ctx, gs);
}
