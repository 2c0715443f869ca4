#include "config.h"

#include "common/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/session_impl.h"

#define WINDOW_MAX (1u << 30)	/* no setting is above */

/* ---- keys ------------------------------------------------------------- */

static void put_key(struct state_out *o, const struct record_key *k)
{
	struct record_key_state ks;

	state_put_bool(o, k != NULL);
	if (k == NULL)
		return;
	record_key_export(k, &ks);
	state_put(o, ks.generation);
	state_put(o, ks.next);
	state_put(o, ks.epoch);
	state_put_bool(o, ks.has_before);
	state_put_raw(o, ks.key, sizeof(ks.key));
	state_put_raw(o, ks.before, sizeof(ks.before));
	crypto_wipe(&ks, sizeof(ks));
}

static void get_key(struct state_in *in, struct record_key **k,
    const uint8_t id[RECORD_ID_LEN], int *rc)
{
	struct record_key_state ks;

	if (!state_get_bool(in))
		return;
	ks.generation = (uint16_t)state_get(in, UINT16_MAX);
	ks.next = state_get(in, WIRE_VARINT_MAX);
	ks.epoch = state_get(in, WIRE_VARINT_MAX);
	ks.has_before = state_get_bool(in);
	state_get_raw(in, ks.key, sizeof(ks.key));
	state_get_raw(in, ks.before, sizeof(ks.before));
	if (!in->bad && *rc == 0)
		*rc = record_key_import(k, &ks, id);
	crypto_wipe(&ks, sizeof(ks));
}

static void put_keys(struct state_out *o, const struct session *s)
{
	put_key(o, s->now.seal);
	put_key(o, s->now.open);
	put_key(o, s->offered.seal);
	put_key(o, s->offered.open);
	put_key(o, s->open_before);
}

static void get_keys(struct state_in *in, struct session *s, int *rc)
{
	get_key(in, &s->now.seal, s->id, rc);
	get_key(in, &s->now.open, s->id, rc);
	get_key(in, &s->offered.seal, s->id, rc);
	get_key(in, &s->offered.open, s->id, rc);
	get_key(in, &s->open_before, s->id, rc);
	state_refuse_if(in, (s->now.seal == NULL) != (s->now.open == NULL) ||
	    (s->offered.seal == NULL) != (s->offered.open == NULL));
}

void session_skip_numbers(struct session *s)
{
	if (s->now.seal != NULL)
		record_key_skip(s->now.seal, SESSION_SKIP);
	if (s->offered.seal != NULL)
		record_key_skip(s->offered.seal, SESSION_SKIP);
}

/* ---- limits, numbers, the path ---------------------------------------- */

static void put_limits(struct state_out *o, const struct session *s)
{
	const struct session_config *c = &s->cfg;

	state_put_bool(o, c->opens_even);
	state_put(o, c->max_streams);
	state_put(o, c->initial_window);
	state_put(o, c->window_max);
	state_put(o, c->window_pool);
	state_put(o, c->send_max);
	state_put(o, s->peer_initial_window);
	state_put(o, s->peer_max_streams);
}

static void get_limits(struct state_in *in, struct session_config *c,
    uint64_t *peer_window, uint64_t *peer_streams)
{
	c->opens_even = state_get_bool(in);
	c->max_streams = state_get(in, WIRE_VARINT_MAX / 2);
	c->initial_window = state_get(in, WINDOW_MAX);
	c->window_max = state_get(in, WINDOW_MAX);
	c->window_pool = state_get(in, WIRE_VARINT_MAX / 64);
	c->send_max = state_get(in, WIRE_VARINT_MAX);
	*peer_window = state_get(in, WIRE_VARINT_MAX);
	*peer_streams = state_get(in, WIRE_VARINT_MAX);
}

static void put_numbers(struct state_out *o, const struct session *s)
{
	state_put_ranges(o, &s->seen);
	state_put(o, s->seen_floor);
	state_put(o, s->report_floor);
	state_put(o, s->report_turn);
	state_put_bool(o, s->owes_ack);
	state_put(o, s->owed);
	state_put_bool(o, s->owes_end);
	state_put_age(o, s->ack_ms);
	state_put(o, s->last_number);
	state_put_bool(o, s->sealed_any);
}

static void get_numbers(struct state_in *in, struct session *s)
{
	state_get_ranges(in, &s->seen, 0, WIRE_VARINT_MAX);
	s->seen_floor = state_get(in, WIRE_VARINT_MAX);
	s->report_floor = state_get(in, WIRE_VARINT_MAX);
	s->report_turn = (unsigned)state_get(in, UINT32_MAX);
	s->owes_ack = state_get_bool(in);
	s->owed = state_get(in, WIRE_VARINT_MAX);
	s->owes_end = state_get_bool(in);
	s->ack_ms = state_get_at(in);
	s->last_number = state_get(in, WIRE_VARINT_MAX);
	s->sealed_any = state_get_bool(in);
}

/* What the path is like; what was under measurement begins anew. */
static void put_path(struct state_out *o, const struct session *s)
{
	state_put(o, s->cwnd.bytes);
	state_put_bool(o, s->cwnd.starting);
	state_put(o, s->cwnd.step);
	state_put(o, s->cwnd.rate);
	state_put_u64(o, s->cwnd.rtt_ms);
	state_put_age(o, s->cwnd.rtt_at_ms);
	state_put(o, s->answer_ms);
	state_put(o, s->answer_var_ms);
}

static void get_path(struct state_in *in, struct session *s)
{
	s->cwnd.bytes = state_get(in, CWND_MAX);
	s->cwnd.starting = state_get_bool(in);
	s->cwnd.step = (unsigned)state_get(in, CWND_STEP_FIRST);
	s->cwnd.rate = state_get(in, WIRE_VARINT_MAX / 1024 / 1024);
	s->cwnd.rtt_ms = state_get_u64(in);
	s->cwnd.rtt_at_ms = state_get_at(in);
	s->answer_ms = state_get(in, WIRE_VARINT_MAX / 64);
	s->answer_var_ms = state_get(in, WIRE_VARINT_MAX / 64);
	s->cwnd.changed_ms = s->cwnd.rate_ms = s->cwnd.active_ms = in->now_ms;
	state_refuse_if(in, s->cwnd.bytes < CWND_MIN || s->cwnd.step == 0 ||
	    (s->cwnd.rtt_ms != UINT64_MAX &&
	    s->cwnd.rtt_ms > WIRE_VARINT_MAX / 64));
}

/* ---- what waits to be said, and what was counted ---------------------- */

static void put_words(struct state_out *o, const struct session *s)
{
	const struct session_stats *c = &s->stats;

	state_put_bool(o, s->ping_queued);
	state_put_bool(o, s->pong_queued);
	state_put_u64(o, s->ping_token);
	state_put_u64(o, s->pong_token);
	state_put_age(o, s->ping_ms);
	state_put_bool(o, s->closed);
	state_put_bool(o, s->close_queued);
	state_put(o, s->close_code);
	state_put_text(o, s->close_text);
	state_put(o, c->records_in);
	state_put(o, c->records_out);
	state_put(o, c->bytes_in);
	state_put(o, c->bytes_out);
	state_put(o, c->frames_lost);
	state_put(o, c->duplicates);
	state_put(o, c->streams_opened);
	state_put(o, c->streams_refused);
	state_put_u64(o, c->ping_rtt_ms);
}

static void get_words(struct state_in *in, struct session *s)
{
	struct session_stats *c = &s->stats;

	s->ping_queued = state_get_bool(in);
	s->pong_queued = state_get_bool(in);
	s->ping_token = state_get_u64(in);
	s->pong_token = state_get_u64(in);
	s->ping_ms = state_get_at(in);
	s->closed = state_get_bool(in);
	s->close_queued = state_get_bool(in);
	s->close_code = state_get(in, WIRE_VARINT_MAX);
	state_get_text(in, s->close_text, FRAME_TEXT_MAX);
	c->records_in = state_get(in, WIRE_VARINT_MAX);
	c->records_out = state_get(in, WIRE_VARINT_MAX);
	c->bytes_in = state_get(in, WIRE_VARINT_MAX);
	c->bytes_out = state_get(in, WIRE_VARINT_MAX);
	c->frames_lost = state_get(in, WIRE_VARINT_MAX);
	c->duplicates = state_get(in, WIRE_VARINT_MAX);
	c->streams_opened = state_get(in, WIRE_VARINT_MAX);
	c->streams_refused = state_get(in, WIRE_VARINT_MAX);
	c->ping_rtt_ms = state_get_u64(in);
}

/* ---- streams ---------------------------------------------------------- */

static void put_streams(struct state_out *o, const struct session *s)
{
	const struct stream *st;

	state_put_ranges(o, &s->peer_ids);
	state_put(o, s->next_id);
	state_put(o, s->consumed);
	state_put(o, s->stream_count);
	for (st = s->streams; st != NULL; st = st->next)
		stream_export(st, o);
}

static void get_streams(struct state_in *in, struct session *s, int *rc)
{
	uint64_t parity = s->next_id, count;

	state_get_ranges(in, &s->peer_ids, 0, WIRE_VARINT_MAX);
	s->next_id = state_get(in, WIRE_VARINT_MAX);
	state_refuse_if(in, (s->next_id & 1) != parity);
	s->consumed = state_get(in, WIRE_VARINT_MAX);
	count = state_get(in, WIRE_VARINT_MAX);
	for (; count > 0 && !in->bad && *rc == 0; count--)
		*rc = stream_import(s, in);
}

/* ---- records under way ------------------------------------------------ */

static void put_record(struct state_out *o, const struct sent_record *r)
{
	state_put(o, r->number);
	state_put(o, r->exchange);
	state_put(o, r->size);
	state_put(o, r->ack_to);
	state_put(o, r->ack_turn);
	state_put(o, r->count);
	for (unsigned i = 0; i < r->count; i++) {
		const struct sent_item *it = &r->item[i];

		state_put(o, it->type);
		state_put_bool(o, it->fin);
		state_put(o, it->len);
		state_put(o, it->stream);
		state_put(o, it->offset);
	}
}

/* A piece of a stream that is there has been sent, and no more than that. */
static bool is_piece(struct session *s, const struct sent_item *it)
{
	const struct stream *st = stream_find(s, it->stream);

	if (st == NULL || st->reset != CTL_NONE)
		return true;
	return it->offset <= st->out.sent &&
	    it->len <= st->out.sent - it->offset && (!it->fin ||
	    (st->out.fin != SENDQ_OPEN && it->offset + it->len == st->out.end));
}

static void get_item(struct state_in *in, struct session *s,
    struct sent_item *it)
{
	it->type = (enum frame_type)state_get(in, FRAME_DATA);
	it->fin = state_get_bool(in);
	it->len = (uint32_t)state_get(in, RECORD_PLAIN_MAX);
	it->stream = state_get(in, WIRE_VARINT_MAX);
	it->offset = state_get(in, WIRE_VARINT_MAX);
	state_refuse_if(in, it->type == FRAME_DATA && !is_piece(s, it));
}

static void get_record(struct state_in *in, struct session *s, uint64_t lane,
    uint64_t *last, int *rc)
{
	struct sent_record *r = sent_new(&s->sent, lane);

	if (r == NULL) {
		*rc = ERR_NOMEM;
		return;
	}
	r->number = state_get(in, s->last_number);
	r->exchange = state_get(in, WIRE_VARINT_MAX);
	r->size = (uint32_t)state_get(in, RECORD_MAX);
	r->ack_to = state_get(in, WIRE_VARINT_MAX);
	r->ack_turn = (unsigned)state_get(in, UINT32_MAX);
	r->count = (unsigned)state_get(in, SENT_ITEMS);
	state_refuse_if(in, *last != UINT64_MAX && r->number <= *last);
	*last = r->number;
	for (unsigned i = 0; i < r->count; i++)
		get_item(in, s, &r->item[i]);
	sent_push(&s->sent, lane, r);
}

static void put_sent(struct state_out *o, const struct session *s)
{
	const struct sent_record *r;

	for (size_t i = 0; i < s->sent.lanes; i++) {
		uint64_t n = 0;

		for (r = s->sent.lane[i].head; r != NULL; r = r->next)
			n++;
		if (n == 0)
			continue;
		state_put(o, i);
		state_put(o, n);
		for (r = s->sent.lane[i].head; r != NULL; r = r->next)
			put_record(o, r);
	}
	state_put(o, SESSION_LANES);	/* that was the last one */
}

static void get_sent(struct state_in *in, struct session *s, int *rc)
{
	uint64_t lane, n, last;

	while (!in->bad && *rc == 0 &&
	    (lane = state_get(in, SESSION_LANES)) < SESSION_LANES) {
		n = state_get(in, SENT_RECORDS_MAX);
		state_refuse_if(in, n == 0 || sent_pending(&s->sent, lane));
		last = UINT64_MAX;
		for (; n > 0 && !in->bad && *rc == 0; n--)
			get_record(in, s, lane, &last, rc);
	}
}

/* ---- the whole of it -------------------------------------------------- */

void session_export(const struct session *s, struct state_out *o)
{
	put_limits(o, s);
	put_keys(o, s);
	put_numbers(o, s);
	put_path(o, s);
	put_streams(o, s);
	put_sent(o, s);
	put_words(o, s);
}

int session_import(struct session **out, struct state_in *in,
    const uint8_t id[RECORD_ID_LEN], struct budget *budget,
    struct page_pool *pages, const struct session_ops *ops, void *ctx)
{
	struct session_config c = { .budget = budget, .pages = pages };
	uint64_t peer_window, peer_streams;
	struct session *s;
	int rc;

	get_limits(in, &c, &peer_window, &peer_streams);
	rc = session_new(&s, id, &c, ops, ctx);
	if (rc != 0)
		return rc;
	session_peer(s, peer_window, peer_streams);
	get_keys(in, s, &rc);
	get_numbers(in, s);
	get_path(in, s);
	if (rc == 0)
		get_streams(in, s, &rc);
	if (rc == 0)
		get_sent(in, s, &rc);
	get_words(in, s);
	if (rc == 0 && in->bad)
		rc = ERR_PROTO;
	if (rc != 0) {
		session_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

/* Did it have an owner, and has none yet? */
static bool is_waiting(const struct stream *st)
{
	return st->is_open && !st->is_released && st->ops == NULL;
}

struct stream *session_take_stream(struct session *s, uint64_t id)
{
	struct stream *st = stream_find(s, id);

	return st != NULL && is_waiting(st) ? st : NULL;
}

bool session_all_taken(const struct session *s)
{
	const struct stream *st;

	for (st = s->streams; st != NULL; st = st->next)
		if (is_waiting(st))
			return false;
	return true;
}
