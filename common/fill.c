/*
 * The sending side of a session: which frames go into the next records, in
 * which order. Streams take turns, one record at a time.
 */
#include "config.h"

#include "common/session_impl.h"

#include <assert.h>
#include <string.h>

#include "common/err.h"

/* END at its largest: type and three varints. */
#define END_ROOM (1u + 3u * WIRE_VARINT_LEN_MAX)
/* In less than this no DATA frame is begun. */
#define DATA_ROOM_MIN 64u

/* One record that is being put together. */
struct draft {
	struct session *s;
	uint8_t *plain;			/* RECORD_PLAIN_MAX bytes */
	const struct session_fill *f;
	struct wire_out w;
	struct sent_record *sent;	/* NULL: nothing may need an ack */
	bool elicits;
	uint64_t now_ms;
};

/* Is the data of this stream to be taken? */
static bool takes_data(const struct draft *d, const struct stream *st)
{
	if (!stream_is_bulk(st, d->now_ms))
		return d->f->take != TAKE_BULK;
	return d->f->take != TAKE_QUICK && session_bulk_room(d->s) > 0;
}

/* Is any of its frames? */
static bool takes(const struct draft *d, const struct stream *st)
{
	if (takes_data(d, st))
		return true;
	return (d->f->take != TAKE_BULK || stream_is_bulk(st, d->now_ms)) &&
	    stream_has_control(st);
}

/* The stream whose turn it is, of those that this fill may take. */
static struct stream *next_stream(const struct draft *d)
{
	struct stream *st = d->s->ready;

	if (st == NULL || d->f->take <= TAKE_PING)
		return NULL;
	do {
		if (takes(d, st))
			return st;
		st = st->ready_next;
	} while (st != d->s->ready);
	return NULL;
}

/* Remember one frame of the record, so that its fate can be told. */
static void note(struct draft *d, enum frame_type type, const struct stream *st,
    const struct sendq_piece *p)
{
	struct sent_item *it = &d->sent->item[d->sent->count++];

	d->elicits = true;
	*it = (struct sent_item){ .type = type, .stream = st->id };
	if (p != NULL) {
		it->offset = p->offset;
		it->len = (uint32_t)p->len;
		it->fin = p->fin;
	}
}

static bool has_place(const struct draft *d)
{
	return d->sent->count < SENT_ITEMS;
}

static void put_open(struct draft *d, struct stream *st)
{
	size_t len = st->name != NULL ? strlen(st->name) : 0;

	if (st->open != CTL_QUEUED || !has_place(d) ||
	    frame_put_open(&d->w, st->id, st->name, len) != 0)
		return;
	st->open = CTL_SENT;
	note(d, FRAME_OPEN, st, NULL);
}

static void put_reset(struct draft *d, struct stream *st)
{
	if (st->reset != CTL_QUEUED || !has_place(d) ||
	    frame_put_reset(&d->w, st->id, st->reset_code) != 0)
		return;
	st->reset = CTL_SENT;
	note(d, FRAME_RESET, st, NULL);
}

static void put_window(struct draft *d, struct stream *st)
{
	if (!st->window_queued || st->reset != CTL_NONE || !has_place(d) ||
	    frame_put_window(&d->w, st->id, st->in.limit) != 0)
		return;
	st->window_queued = false;
	st->window_told = st->in.limit;
	note(d, FRAME_WINDOW, st, NULL);
}

static void put_data(struct draft *d, struct stream *st)
{
	struct sendq_piece p;
	size_t max;

	while (st->reset == CTL_NONE && st->open != CTL_QUEUED &&
	    takes_data(d, st) && has_place(d) && d->w.left >= DATA_ROOM_MIN) {
		/* No piece begins further out than what was queued. */
		max = frame_data_room(d->w.left, st->id, st->out.end);
		if (!sendq_next(&st->out, max, &p) ||
		    frame_put_data_head(&d->w, st->id, p.offset, p.len,
		    p.fin) != 0)
			return;
		sendq_read(&st->out, &p, d->w.p);
		d->w.p += p.len;
		d->w.left -= p.len;
		sendq_took(&st->out, &p);
		note(d, FRAME_DATA, st, &p);
		stream_asked(st, d->now_ms);
		stream_burst(st, p.len, d->now_ms);
	}
}

/* Everything that one stream has, as far as it fits; then others have turns. */
static void put_stream(struct draft *d, struct stream *st)
{
	struct session *s = d->s;

	put_open(d, st);
	put_window(d, st);
	put_data(d, st);
	put_reset(d, st);
	s->ready = st->ready_next;
	stream_update(st);
}

static void put_streams(struct draft *d)
{
	struct stream *st;
	size_t before;

	while (d->sent != NULL && has_place(d) &&
	    d->w.left >= DATA_ROOM_MIN && (st = next_stream(d)) != NULL) {
		before = d->w.left;
		put_stream(d, st);
		if (d->w.left == before)	/* an OPEN too long for here */
			return;
	}
}

/* An ACK of all that the peer may not know of; it reports its own fate. */
static void put_ack(struct draft *d)
{
	struct session *s = d->s;
	bool whole;

	if (frame_put_ack(&d->w, &s->seen, s->report_floor, &whole) != 0)
		return;
	s->owes_ack = s->owes_end = false;
	s->owed = 0;
	s->ack_ms = d->now_ms;
	if (d->sent != NULL && whole) {
		d->sent->ack_to = s->seen.r[s->seen.count - 1].to;
		d->sent->ack_turn = s->report_turn;
	}
}

static void put_session_frames(struct draft *d)
{
	struct session *s = d->s;

	/* They measure the path: not behind bulk, if that can be helped. */
	if (d->f->take != TAKE_BULK && s->pong_queued &&
	    frame_put_pong(&d->w, s->pong_token) == 0) {
		s->pong_queued = false;
		d->elicits = true;
	}
	if (d->f->take != TAKE_BULK && s->ping_queued &&
	    frame_put_ping(&d->w, s->ping_token) == 0) {
		s->ping_queued = false;
		s->ping_ms = d->now_ms;
		cwnd_on_probe_sent(&s->cwnd, d->now_ms);
		d->elicits = true;
	}
	/* Again in every fill: CLOSE is not acknowledged. */
	if (s->close_queued)
		(void)frame_put_close(&d->w, s->close_code, s->close_text);
}

static int seal(struct draft *d, uint8_t *out, size_t *out_len)
{
	struct session *s = d->s;
	size_t len = (size_t)(d->w.p - d->plain);
	uint64_t number;
	int rc;

	rc = record_seal(s->now.seal, d->plain, len, out, out_len, &number);
	if (rc != 0)
		return rc;
	s->last_number = number;
	s->sealed_any = true;
	s->stats.records_out++;
	s->stats.bytes_out += *out_len;
	if (d->sent == NULL)
		return 0;
	if (!d->elicits) {
		sent_drop(&s->sent, d->sent);
		return 0;
	}
	d->sent->number = number;
	d->sent->exchange = d->f->exchange;
	d->sent->size = (uint32_t)*out_len;
	sent_push(&s->sent, d->f->lane, d->sent);
	return 0;
}

static bool takes_pings(const struct draft *d)
{
	return d->f->take != TAKE_NOTHING && d->f->take != TAKE_BULK &&
	    (d->s->pong_queued || d->s->ping_queued);
}

static bool work_left(const struct draft *d)
{
	return takes_pings(d) || next_stream(d) != NULL;
}

/*
 * Put together and seal one record. 0 when there was nothing to say. *ended:
 * END went along.
 */
static size_t fill_record(struct session *s, const struct session_fill *f,
    bool first, uint8_t *out, size_t room, uint64_t now_ms, bool *ended)
{
	uint8_t buf[RECORD_PLAIN_MAX];
	struct draft d = { .s = s, .plain = buf, .f = f, .now_ms = now_ms };
	size_t plain = room - RECORD_OVERHEAD, len = 0;
	bool ending = f->may_end || f->must_end;

	if (plain > RECORD_PLAIN_MAX)
		plain = RECORD_PLAIN_MAX;
	if (ending)
		plain -= END_ROOM;
	d.w = (struct wire_out){ buf, plain };
	if (f->take != TAKE_NOTHING)
		d.sent = sent_new(&s->sent, f->lane);
	if (first && f->head)
		(void)frame_put_exchange(&d.w, f->lane, f->exchange,
		    f->hold_ms, f->keep);
	if (s->owes_ack || (first && f->ack))
		put_ack(&d);
	if (f->take != TAKE_NOTHING)
		put_session_frames(&d);
	put_streams(&d);
	if (ending) {
		d.w.left += END_ROOM;
		if (!work_left(&d) || d.sent == NULL)
			*ended = frame_put_end(&d.w, f->lane, f->exchange,
			    session_backlog(s)) == 0;
	}
	if (d.w.p == buf || seal(&d, out, &len) != 0) {
		if (d.sent != NULL)
			sent_drop(&s->sent, d.sent);
		return 0;
	}
	return len;
}

size_t session_fill(struct session *s, const struct session_fill *f,
    uint8_t *out, size_t room, uint64_t now_ms, bool *ended)
{
	struct session_fill last = *f;
	size_t used = 0, n, spare;

	*ended = false;
	if (s->now.seal == NULL || room < SESSION_FILL_MIN)
		return 0;
	spare = f->must_end ? RECORD_OVERHEAD + 2 * END_ROOM : 0;
	while (!*ended && room - used >= SESSION_FILL_MIN + spare) {
		if (used > 0 && !session_has_work(s, f->take, now_ms))
			break;
		n = fill_record(s, f, used == 0, out + used,
		    room - used - spare, now_ms, ended);
		if (n == 0)
			break;
		used += n;
	}
	if (f->must_end && !*ended) {
		last.take = TAKE_NOTHING;
		used += fill_record(s, &last, used == 0, out + used,
		    room - used, now_ms, ended);
	}
	return used;
}

bool session_has_work(const struct session *s, enum session_take take,
    uint64_t now_ms)
{
	struct session_fill f = { .take = take };
	struct draft d = { .s = (struct session *)s, .f = &f,
	    .now_ms = now_ms };

	return work_left(&d);
}

unsigned session_asking(const struct session *s)
{
	return s->asking_count;
}

bool session_asks(const struct session *s, uint64_t now_ms)
{
	const struct stream *st = s->ready;

	if (st == NULL)
		return false;
	do {
		if (st->open == CTL_QUEUED || (!stream_is_bulk(st, now_ms) &&
		    sendq_has_work(&st->out)))
			return true;
		st = st->ready_next;
	} while (st != s->ready);
	return false;
}

uint64_t session_backlog(const struct session *s)
{
	const struct stream *st = s->ready;
	uint64_t n = 0;

	if (st == NULL)
		return 0;
	do {
		n += sendq_backlog(&st->out);
		st = st->ready_next;
	} while (st != s->ready);
	return n;
}
