/* A stream as bytes: its two queues, and what is to be said about it. */
#include "config.h"

#include "common/session_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* ---- the sending half ------------------------------------------------- */

static void put_pages(struct state_out *o, const struct pages *p,
    uint64_t from, uint64_t to)
{
	uint8_t *room = state_put_room(o, (size_t)(to - from));

	if (room != NULL && to > from)
		pages_read(p, from, room, (size_t)(to - from));
}

static void get_pages(struct state_in *in, struct pages *p, uint64_t from,
    uint64_t to, int *rc)
{
	const uint8_t *data = state_get_run(in, to - from);

	if (data != NULL && *rc == 0)
		*rc = pages_write(p, from, data, (size_t)(to - from));
}

static void put_sendq(struct state_out *o, const struct sendq *q)
{
	state_put(o, q->acked);
	state_put(o, q->sent);
	state_put(o, q->end);
	state_put(o, q->limit);
	state_put(o, q->fin);
	state_put_ranges(o, &q->lost);
	state_put_ranges(o, &q->acks);
	put_pages(o, &q->pages, q->acked, q->end);
}

static void get_sendq(struct state_in *in, struct sendq *q, int *rc)
{
	q->acked = state_get(in, WIRE_VARINT_MAX);
	q->sent = state_get(in, WIRE_VARINT_MAX);
	q->end = state_get(in, WIRE_VARINT_MAX);
	q->limit = state_get(in, WIRE_VARINT_MAX);
	q->fin = (enum sendq_fin)state_get(in, SENDQ_FIN_ACKED);
	state_refuse_if(in, q->sent < q->acked || q->end < q->sent ||
	    q->limit < q->sent);
	state_get_ranges(in, &q->lost, q->acked, q->sent);
	/* What touches the front would have moved it. */
	state_get_ranges(in, &q->acks, q->acked + 1, q->sent);
	pages_release(&q->pages, q->acked);
	get_pages(in, &q->pages, q->acked, q->end, rc);
}

/* ---- the receiving half ----------------------------------------------- */

static void put_recvq(struct state_out *o, const struct recvq *q)
{
	state_put(o, q->read);
	state_put(o, q->ready);
	state_put(o, q->limit);
	state_put_bool(o, q->has_fin);
	state_put(o, q->fin);
	state_put_ranges(o, &q->got);
	put_pages(o, &q->pages, q->read, q->ready);
	for (size_t i = 0; i < q->got.count; i++)
		put_pages(o, &q->pages, q->got.r[i].from, q->got.r[i].to);
}

static void get_recvq(struct state_in *in, struct recvq *q,
    uint64_t window_max, int *rc)
{
	q->read = state_get(in, WIRE_VARINT_MAX);
	q->ready = state_get(in, WIRE_VARINT_MAX);
	q->limit = state_get(in, WIRE_VARINT_MAX);
	q->has_fin = state_get_bool(in);
	q->fin = state_get(in, WIRE_VARINT_MAX);
	state_refuse_if(in, q->ready < q->read || q->limit < q->ready ||
	    q->limit - q->read > window_max ||
	    (q->has_fin && (q->fin < q->ready || q->fin > q->limit)));
	state_get_ranges(in, &q->got, q->ready + 1,
	    q->has_fin ? q->fin : q->limit);
	pages_release(&q->pages, q->read);
	get_pages(in, &q->pages, q->read, q->ready, rc);
	for (size_t i = 0; i < q->got.count && !in->bad; i++)
		get_pages(in, &q->pages, q->got.r[i].from, q->got.r[i].to,
		    rc);
}

/* ---- the stream ------------------------------------------------------- */

void stream_export(const struct stream *st, struct state_out *o)
{
	const struct session *s = st->s;

	state_put(o, st->id);
	state_put_bool(o, st->is_open);
	state_put_bool(o, st->is_released);
	state_put_bool(o, st->is_blocked);
	state_put_bool(o, st->is_asking);
	state_put_bool(o, st->is_excused);
	state_put_age(o, st->is_asking ? st->asked_ms : o->now_ms);
	state_put_bool(o, st->window_queued);
	state_put(o, st->window_told);
	state_put(o, st->open);
	state_put(o, st->reset);
	state_put(o, st->reset_code);
	state_put_bool(o, st->name != NULL);
	state_put_text(o, st->name);
	state_put(o, st->window);
	state_put(o, st->used);
	state_put(o, s->consumed - st->consumed_at);
	state_put(o, st->burst);
	state_put_age(o, st->burst_ms);
	put_sendq(o, &st->out);
	put_recvq(o, &st->in);
}

static void get_question(struct stream *st, struct state_in *in)
{
	bool asking = state_get_bool(in), excused = state_get_bool(in);
	uint64_t at = state_get_at(in);

	if (asking)
		stream_asked(st, at);
	st->is_excused = excused;
}

static void get_name(struct stream *st, struct state_in *in, int *rc)
{
	bool named = state_get_bool(in);
	char name[FRAME_NAME_MAX + 1];

	state_get_text(in, name, FRAME_NAME_MAX);
	if (!named || in->bad)
		return;
	st->name = strdup(name);
	if (st->name == NULL)
		*rc = ERR_NOMEM;
}

static uint64_t window_max(const struct stream *st)
{
	const struct session_config *c = &st->s->cfg;

	return c->window_max > c->initial_window ? c->window_max :
	    c->initial_window;
}

/* The credit that the stream is to get, within the session's limits. */
static void get_window(struct stream *st, struct state_in *in)
{
	uint64_t ago;

	st->window = state_get(in, window_max(st));
	st->used = state_get(in, WIRE_VARINT_MAX);
	ago = state_get(in, st->s->consumed);
	st->consumed_at = st->s->consumed - ago;
	state_refuse_if(in, st->window < st->s->cfg.initial_window);
}

static void get_stream(struct stream *st, struct state_in *in, int *rc)
{
	st->is_open = state_get_bool(in);
	st->is_released = state_get_bool(in);
	stream_set_blocked(st, state_get_bool(in));
	get_question(st, in);
	st->window_queued = state_get_bool(in);
	st->window_told = state_get(in, WIRE_VARINT_MAX);
	st->open = (enum ctl)state_get(in, CTL_ACKED);
	st->reset = (enum ctl)state_get(in, CTL_ACKED);
	st->reset_code = state_get(in, WIRE_VARINT_MAX);
	get_name(st, in, rc);
	get_window(st, in);
	st->burst = state_get(in, WIRE_VARINT_MAX);
	st->burst_ms = state_get_at(in);
	get_sendq(in, &st->out, rc);
	st->burst_waits = st->out.sent < st->out.end;
	get_recvq(in, &st->in, window_max(st), rc);
	/* What was reset keeps nothing; what was not opened is not released. */
	state_refuse_if(in, (st->reset != CTL_NONE && (!st->is_released ||
	    st->out.end > 0 || st->in.limit > 0)) ||
	    (!st->is_local && st->open != CTL_NONE));
}

/* Is it an id that this end or the other has used, and not there yet? */
static bool is_plausible(struct session *s, uint64_t id, bool local)
{
	if (stream_find(s, id) != NULL)
		return false;
	if (local)
		return id < s->next_id;
	return ranges_contain(&s->peer_ids, id >> 1) &&
	    s->peer_count < 2 * s->cfg.max_streams + SESSION_REFUSED_SPARE;
}

/* It is bad: nothing in it is to be counted when it is freed. */
static void forget(struct stream *st)
{
	sendq_fini(&st->out);
	sendq_init(&st->out, st->s->pages, 0);
	recvq_fini(&st->in);
	recvq_init(&st->in, st->s->pages, 0);
}

int stream_import(struct session *s, struct state_in *in)
{
	uint64_t id = state_get(in, WIRE_VARINT_MAX);
	bool local = (id & 1) == (s->next_id & 1);
	struct stream *st;
	int rc;

	state_refuse_if(in, !is_plausible(s, id, local));
	if (in->bad)
		return ERR_PROTO;
	rc = stream_create(s, id, local, &st);
	if (rc != 0)
		return rc;
	get_stream(st, in, &rc);
	if (rc == 0 && in->bad)
		rc = ERR_PROTO;
	if (rc != 0) {
		forget(st);
		return rc;
	}
	s->send_kept += sendq_kept(&st->out);
	s->pool_used += stream_pool_share(st);
	session_account(s);
	if (s->pool_used > s->cfg.window_pool)
		return ERR_PROTO;
	stream_update(st);
	return 0;
}
