/*
 * The receiving side of a session: what records bring, and what becomes of
 * those that we sent.
 */
#include "config.h"

#include "common/session_impl.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

static struct record_key *key_for(struct session *s, uint64_t number)
{
	struct record_key *keys[] = { s->now.open, s->offered.open,
	    s->open_before };
	uint16_t generation = record_number_generation(number);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i] != NULL &&
		    record_key_generation(keys[i]) == generation)
			return keys[i];
	return NULL;
}

/* ---- numbers that arrived --------------------------------------------- */

static int note_seen(struct session *s, uint64_t number)
{
	int rc;

	/*
	 * One that comes late must be reported, even if it lies where the
	 * peer has been told everything so far.
	 */
	if (s->seen.count > 0 && number < s->seen.r[s->seen.count - 1].to) {
		s->report_turn++;
		if (number < s->report_floor)
			s->report_floor = number;
	}
	rc = ranges_add(&s->seen, number, number + 1);
	if (rc == ERR_LIMIT) {
		s->seen_floor = s->seen.r[0].to;
		ranges_drop_below(&s->seen, s->seen_floor);
		if (number < s->seen_floor)
			return 0;
		rc = ranges_add(&s->seen, number, number + 1);
	}
	return rc;
}

static bool was_seen(const struct session *s, uint64_t number)
{
	return number < s->seen_floor || ranges_contain(&s->seen, number);
}

/* ---- frames that arrive ----------------------------------------------- */

/* The peer broke the protocol: nothing more is taken from it. */
static int broken(struct session *s, const char *how)
{
	if (s->close_text[0] == '\0')
		snprintf(s->close_text, sizeof(s->close_text), "%s", how);
	return ERR_PROTO;
}

static void on_item_acked(void *ctx, const struct sent_record *r)
{
	struct session *s = ctx;

	if (r->ack_to > s->report_floor && r->ack_turn == s->report_turn)
		s->report_floor = r->ack_to;
	for (unsigned i = 0; i < r->count; i++) {
		const struct sent_item *it = &r->item[i];
		struct stream *st = stream_find(s, it->stream);
		struct sendq_piece p = { it->offset, it->len, it->fin };
		uint64_t kept;

		if (st == NULL)
			continue;
		if (it->type == FRAME_OPEN) {
			st->open = CTL_ACKED;
		} else if (it->type == FRAME_RESET) {
			st->reset = CTL_ACKED;
		} else if (it->type == FRAME_DATA && st->reset == CTL_NONE) {
			kept = sendq_kept(&st->out);
			sendq_on_acked(&st->out, &p);
			s->send_kept -= kept - sendq_kept(&st->out);
		}
		stream_update(st);
		stream_settle(st);
	}
	session_account(s);
}

/* The peer may know only of the window from before, or of an older one. */
static void lost_window(struct stream *st)
{
	st->window_queued = !st->in.has_fin;
	st->window_told = 0;
}

static void on_item_lost(void *ctx, const struct sent_record *r)
{
	struct session *s = ctx;

	s->stats.frames_lost += r->count;
	for (unsigned i = 0; i < r->count; i++) {
		const struct sent_item *it = &r->item[i];
		struct stream *st = stream_find(s, it->stream);
		struct sendq_piece p = { it->offset, it->len, it->fin };

		if (st == NULL)
			continue;
		if (it->type == FRAME_OPEN && st->open == CTL_SENT)
			st->open = CTL_QUEUED;
		else if (it->type == FRAME_RESET && st->reset == CTL_SENT)
			st->reset = CTL_QUEUED;
		else if (it->type == FRAME_WINDOW)
			lost_window(st);
		else if (it->type == FRAME_DATA && st->reset == CTL_NONE)
			sendq_on_lost(&st->out, &p);
		stream_update(st);
	}
}

static int take_ack(struct session *s, struct frame *f, uint64_t now_ms)
{
	struct range ack[FRAME_ACK_RANGES_MAX];
	uint64_t flight = s->sent.flight;
	size_t n = 0;

	if (!s->sealed_any || f->u.ack.largest > s->last_number)
		return broken(s, "acknowledges a record that was never sent");
	while (n < FRAME_ACK_RANGES_MAX && frame_ack_next(f, &ack[n]))
		n++;
	sent_acked(&s->sent, ack, n, on_item_acked, s);
	if (s->sent.flight == flight)
		return 0;
	/* Now, before what is let through by this ACK. */
	if (!s->ping_queued && cwnd_wants_probe(&s->cwnd, flight, now_ms))
		session_ping(s);
	cwnd_on_acked(&s->cwnd, flight, flight - s->sent.flight);
	if (s->ready != NULL)	/* the congestion window has room again */
		s->ops->on_wake(s->ctx);
	return 0;
}

/* Is this id one that we give, and have given already? */
static bool is_ours(const struct session *s, uint64_t id)
{
	return (id & 1) == (s->next_id & 1);
}

/*
 * The stream a frame speaks of. 0 with *out NULL: it is over and forgotten.
 * A stream of the peer's that is not there yet is made if create is set, for
 * lanes overtake each other and DATA may come before OPEN.
 */
static int find(struct session *s, uint64_t id, bool create,
    struct stream **out)
{
	int rc;

	*out = stream_find(s, id);
	if (*out != NULL)
		return 0;
	if (is_ours(s, id)) {
		if (id >= s->next_id)
			return broken(s, "speaks of a stream never opened");
		return 0;
	}
	if (ranges_contain(&s->peer_ids, id >> 1))
		return 0;
	if (!create)
		return broken(s, "speaks of a stream that it never opened");
	if (s->peer_count >= 2 * s->cfg.max_streams + SESSION_REFUSED_SPARE)
		return broken(s, "opens too many streams");
	if (ranges_add(&s->peer_ids, id >> 1, (id >> 1) + 1) != 0)
		return broken(s, "leaves too many stream ids out");
	rc = stream_create(s, id, false, out);
	if (rc == 0 && s->peer_count > s->cfg.max_streams) {
		s->stats.streams_refused++;
		stream_reset(*out, STREAM_LIMIT);
	}
	return rc;
}

static int take_open(struct session *s, const struct frame *f)
{
	struct stream *st;
	int rc;

	if (is_ours(s, f->u.open.stream))
		return broken(s, "opens a stream with an id of ours");
	rc = find(s, f->u.open.stream, true, &st);
	if (rc != 0 || st == NULL || st->is_open || st->is_released)
		return rc;
	st->is_open = true;
	s->ops->on_open(s->ctx, st, (const char *)f->u.open.name,
	    f->u.open.name_len);
	/* What came before OPEN is readable now. */
	st = stream_find(s, f->u.open.stream);
	if (st != NULL && st->ops != NULL &&
	    (st->in.ready > st->in.read || recvq_at_end(&st->in)))
		st->ops->on_readable(st->user, st);
	return 0;
}

static int take_data(struct session *s, const struct frame *f,
    uint64_t now_ms)
{
	struct stream *st;
	bool fresh;
	int rc;

	rc = find(s, f->u.data.stream, true, &st);
	if (rc != 0 || st == NULL || st->reset != CTL_NONE)
		return rc;
	rc = recvq_write(&st->in, f->u.data.offset, f->u.data.data,
	    f->u.data.len, f->u.data.fin, &fresh);
	if (rc == ERR_PROTO)
		return broken(s, "sends beyond a window or an end of stream");
	if (rc == ERR_LIMIT) {
		const struct stream_ops *ops = st->ops;
		void *user = st->user;

		stream_reset(st, STREAM_LIMIT);
		if (ops != NULL)
			ops->on_reset(user, st, STREAM_LIMIT);
		return 0;
	}
	if (rc != 0)
		return rc;
	/* The sender keeps a stream until its end is acknowledged. */
	if (f->u.data.len > 0 && !sendq_has_work(&st->out))
		st->burst = 0;		/* it is their turn: no bulk of ours */
	stream_answered(st, now_ms);
	s->owed += f->u.data.len;
	s->owes_end |= f->u.data.fin;
	if (st->is_released)
		stream_settle(st);
	else if (fresh && st->ops != NULL)
		st->ops->on_readable(st->user, st);
	return 0;
}

static int take_window(struct session *s, const struct frame *f)
{
	struct stream *st;
	int rc;

	rc = find(s, f->u.window.stream, false, &st);
	if (rc != 0 || st == NULL || st->reset != CTL_NONE)
		return rc;
	sendq_widen(&st->out, f->u.window.limit);
	stream_update(st);
	return 0;
}

static int take_reset(struct session *s, const struct frame *f)
{
	struct stream *st;
	int rc;

	s->owes_end = true;
	rc = find(s, f->u.reset.stream, true, &st);
	if (rc == 0 && st != NULL)
		stream_drop(st, f->u.reset.code);
	return rc;
}

/* Nothing is received any more; the owner learns why. */
static void shut(struct session *s, uint64_t code, const char *text)
{
	if (s->closed)
		return;
	s->closed = true;
	session_close_streams(s, STREAM_SESSION_LOST);
	s->ops->on_close(s->ctx, code, text);
}

static void take_close(struct session *s, const struct frame *f)
{
	char text[FRAME_TEXT_MAX + 1];

	if (f->u.close.text_len > 0)
		memcpy(text, f->u.close.text, f->u.close.text_len);
	text[f->u.close.text_len] = '\0';
	shut(s, f->u.close.code, text);
}

static void note_exchange(const struct frame *f, struct session_seen *seen)
{
	seen->has_exchange = true;
	seen->lane = f->u.exchange.lane;
	seen->exchange = f->u.exchange.exchange;
	seen->hold_ms = f->u.exchange.hold_ms;
	seen->keep = f->u.exchange.keep;
}

/* Of a repeated record, only which exchange it began is of interest. */
static void peek_exchange(const uint8_t *plain, size_t len,
    struct session_seen *seen)
{
	struct wire_in in = { plain, len };
	struct frame f;

	if (frame_decode(&in, &f) == 0 && f.type == FRAME_EXCHANGE &&
	    f.u.exchange.lane < SESSION_LANES)
		note_exchange(&f, seen);
}

static int take_frame(struct session *s, struct frame *f, uint64_t now_ms,
    bool first, struct session_seen *seen)
{
	switch (f->type) {
	case FRAME_PADDING:
		return 0;
	case FRAME_EXCHANGE:
		if (!first || f->u.exchange.lane >= SESSION_LANES)
			return broken(s, "sends a bad EXCHANGE frame");
		note_exchange(f, seen);
		return 0;
	case FRAME_END:
		seen->has_end = true;
		seen->end_lane = f->u.end.lane;
		seen->end_exchange = f->u.end.exchange;
		seen->backlog = f->u.end.backlog;
		if (f->u.end.backlog > 0)	/* perhaps for want of an ACK */
			s->owes_end = true;
		return 0;
	case FRAME_ACK:
		return take_ack(s, f, now_ms);
	case FRAME_OPEN:
		return take_open(s, f);
	case FRAME_WINDOW:
		return take_window(s, f);
	case FRAME_RESET:
		return take_reset(s, f);
	case FRAME_PING:
		s->pong_queued = true;
		s->pong_token = f->u.ping.token;
		s->ops->on_wake(s->ctx);
		return 0;
	case FRAME_PONG:
		if (f->u.ping.token != s->ping_token || s->ping_queued)
			return 0;
		s->ping_open = false;
		s->stats.ping_rtt_ms = now_ms - s->ping_ms;
		cwnd_on_probe(&s->cwnd, now_ms);
		return 0;
	case FRAME_CLOSE:
		take_close(s, f);
		return 0;
	case FRAME_DATA:
	case FRAME_DATA_FIN:
		return take_data(s, f, now_ms);
	}
	return broken(s, "sends a frame of unknown type");
}

/* Must a record with this frame be acknowledged? */
static bool elicits_ack(enum frame_type type)
{
	return type != FRAME_ACK && type != FRAME_PADDING &&
	    type != FRAME_EXCHANGE && type != FRAME_END;
}

static int take_frames(struct session *s, const uint8_t *plain, size_t len,
    uint64_t now_ms, struct session_seen *seen)
{
	struct wire_in in = { plain, len };
	struct frame f;
	bool first = true;
	int rc;

	while ((rc = frame_decode(&in, &f)) == 0) {
		if (s->closed && f.type != FRAME_EXCHANGE &&
		    f.type != FRAME_END)
			continue;
		if (elicits_ack(f.type))
			s->owes_ack = true;
		rc = take_frame(s, &f, now_ms, first, seen);
		if (rc != 0)
			return rc;
		first = false;
	}
	if (rc != ERR_MORE)
		return broken(s, "sends a malformed frame");
	return s->closed ? ERR_CLOSED : 0;
}

int session_receive(struct session *s, const uint8_t *record, size_t len,
    uint64_t now_ms, struct session_seen *seen)
{
	uint8_t plain[RECORD_PLAIN_MAX];
	struct record_key *key;
	uint64_t number;
	size_t plain_len;
	int rc;

	*seen = (struct session_seen){ 0 };
	if (len < RECORD_HEAD)
		return ERR_CRYPTO;
	number = record_number(record);
	key = key_for(s, number);
	if (key == NULL)
		return ERR_CRYPTO;
	rc = record_open(key, record, len, plain, &plain_len);
	if (rc != 0)
		return rc;
	if (key == s->offered.open)
		session_adopt(s);
	s->stats.records_in++;
	s->stats.bytes_in += len;
	if (was_seen(s, number)) {
		s->stats.duplicates++;
		seen->duplicate = true;
		peek_exchange(plain, plain_len, seen);
		return 0;
	}
	rc = take_frames(s, plain, plain_len, now_ms, seen);
	if (rc == 0 || rc == ERR_CLOSED) {
		int noted = note_seen(s, number);

		rc = noted != 0 ? noted : rc;
	}
	if (rc == ERR_PROTO) {
		s->close_queued = true;
		s->close_code = SESSION_PROTOCOL;
		shut(s, SESSION_PROTOCOL, s->close_text);
	}
	stream_wake_blocked(s);
	return rc;
}

void session_lane_begin(struct session *s, uint64_t lane, uint64_t exchange)
{
	if (!s->lane_rule_broken)
		sent_lost(&s->sent, lane, exchange, on_item_lost, s);
}
