/* Single exchanges of the client: what came out, and how they ended. */
#include "config.h"

#include "common/lanes_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define KEEP_BULK 2u		/* to be held while bulk comes in */
#define BODY_SPARE 12288u	/* a body buffer larger than this is not kept */
#define CHECK_BYTES 1024u	/* at once: more than ACKs and an END */

/* ---- the response ----------------------------------------------------- */

/* Bulk is coming in; more exchanges are parked for it. */
static void note_bulk(struct lanes *l, const struct slot *s, uint64_t len,
    uint64_t now_ms)
{
	if (now_ms - l->poured_ms > LANES_POUR_MS)
		l->poured = s->answer_bytes;
	l->poured += len;
	l->poured_ms = now_ms;
}

static void note_answer(struct lanes *l, unsigned lane, size_t len,
    uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];

	s->answer_bytes += len;
	if (s->lasting)		/* much of what is small */
		return;
	if (s->answer_bytes <= LANES_BULK_ANSWER && lane < SESSION_BULK_LANE)
		return;
	note_bulk(l, s, len, now_ms);
	if (len > CHECK_BYTES)
		l->bulk_ms = now_ms;
}

static void take_record(struct lanes *l, unsigned lane, const uint8_t *record,
    size_t len, uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];
	struct session_seen seen;
	unsigned keep;
	int rc;

	rc = session_receive(l->session, record, len, now_ms, &seen);
	if (rc == ERR_CRYPTO) {
		s->bad = true;
		return;
	}
	s->records++;
	if ((rc != 0 && rc != ERR_CLOSED) || !seen.has_end)
		return;
	if (seen.end_lane == s->lane && seen.end_exchange == s->exchange)
		s->ended = true;
	/* More is waiting there: so that no response waits for a request. */
	keep = seen.backlog > 0 ? KEEP_BULK : 1;
	if (keep < l->keep)
		l->trim = true;
	l->keep = keep;
	/* It comes in short responses, for one reason or another. */
	if (seen.backlog > LANES_BULK_ANSWER &&
	    s->answer_bytes <= LANES_BULK_ANSWER)
		note_bulk(l, s, s->answer_bytes, now_ms);
}

/* Gather the rest of a record that came in pieces. Returns bytes used. */
static size_t gather(struct lanes *l, unsigned lane, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];
	size_t whole, want, used = 0;
	int rc;

	while (used < len) {
		rc = record_peek(s->part, s->part_len, &whole);
		if (rc == ERR_PROTO) {
			s->bad = true;
			return used;
		}
		want = (rc == 0 ? whole : RECORD_HEAD) - s->part_len;
		if (want > len - used)
			want = len - used;
		memcpy(s->part + s->part_len, data + used, want);
		s->part_len += want;
		used += want;
		if (rc == 0 && s->part_len == whole) {
			s->part_len = 0;
			take_record(l, lane, s->part, whole, now_ms);
			return used;
		}
	}
	return used;
}

static void take_records(struct lanes *l, unsigned lane, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];
	size_t whole, n;

	while (len > 0 && !s->bad && !l->session_over) {
		if (s->part_len == 0 && record_peek(data, len, &whole) == 0 &&
		    whole <= len) {
			take_record(l, lane, data, whole, now_ms);
			n = whole;
		} else {
			n = gather(l, lane, data, len, now_ms);
		}
		data += n;
		len -= n;
	}
}

void lanes_on_body(struct lanes *l, unsigned slot, const uint8_t *data,
    size_t len, uint64_t now_ms)
{
	struct slot *s = &l->slot[slot];

	if (!s->busy || s->bad || len == 0)
		return;
	s->answered = true;
	s->heard_ms = l->path[s->path].ready_ms = now_ms;
	lanes_heard(l, s, now_ms);
	if (slot != LANES_HELLO)
		note_answer(l, slot, len, now_ms);
	l->ops->on_wake(l->ctx);	/* an ACK may be due */
	if (s->part == NULL && (s->part = malloc(RECORD_MAX)) == NULL) {
		s->bad = true;
	} else if (slot != LANES_HELLO) {
		take_records(l, slot, data, len, now_ms);
	} else if (len <= HELLO_MAX - s->part_len) {
		memcpy(s->part + s->part_len, data, len);
		s->part_len += len;
	} else {
		s->bad = true;
	}
}

/* ---- the end ---------------------------------------------------------- */

static void release_body(struct slot *s)
{
	s->busy = s->open = s->lasting = false;
	if (s->body_size > BODY_SPARE) {
		free(s->body);
		s->body = NULL;
		s->body_size = 0;
	}
}

/* Give one exchange up without counting it as a failure. */
static void cancel(struct lanes *l, unsigned slot)
{
	struct slot *s = &l->slot[slot];

	release_body(s);
	s->restart = slot < SESSION_LANES;
	l->ops->cancel(l->ctx, slot);
	if (slot == LANES_HELLO) {
		noise_free(l->hello);
		l->hello = NULL;
	}
}

/*
 * The path works again for an exchange begun after it had failed. Those from
 * before that have been silent since may be on connections that are dead.
 */
static void doubt_older(struct lanes *l, const struct slot *works,
    uint64_t now_ms)
{
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		if (i == LANES_HELLO || !l->slot[i].busy ||
		    l->slot[i].heard_ms >= works->start_ms)
			continue;
		cancel(l, i);
		session_path_silent(l->session, now_ms);
	}
}

static void succeeded(struct lanes *l, unsigned lane, uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];

	lanes_learn_hold(l, s, true, false, now_ms);
	if (l->rounds > 0 && s->probe)
		doubt_older(l, s, now_ms);
	if (s->query)
		l->query_failures = 0;
	if (s->bulk)
		lanes_note_carried(s, now_ms);
	l->rounds = 0;
	lanes_doubt_over(l);
	l->retry_ms = 0;
	l->alive_ms = now_ms;
	backoff_reset(&l->backoff);
	/* What this exchange carried and nobody acknowledged is lost. */
	s->restart = session_lane_pending(l->session, lane);
	if (l->closing)
		l->over = true;
	else if (l->state != LANES_UP && !l->need_hello)
		lanes_set_state(l, LANES_UP, "the gateway answers again");
}

void lanes_failed(struct lanes *l, unsigned slot, const char *why,
    uint64_t now_ms)
{
	struct slot *s = &l->slot[slot];

	l->stats.failed++;
	s->restart = true;
	s->carried = 0;
	l->path[s->path].ready_ms = 0;
	if (l->closing)
		l->over = true;
	if (l->rounds > 0 && s->start_ms < l->round_ms)
		return;
	l->rounds++;
	l->round_ms = now_ms;
	if (l->rounds == 1) {	/* once more at once, on a fresh connection */
		l->failing_ms = now_ms;
		return;
	}
	lanes_wait(l, now_ms);
	/* A moment of trouble is not worth sending Notes elsewhere for. */
	if (now_ms - l->failing_ms >= LANES_DOWN_MS)
		lanes_set_state(l, LANES_DOWN, why);
}

static void ended_badly(struct lanes *l, unsigned lane,
    enum lanes_result result, unsigned status, const char *detail,
    uint64_t now_ms)
{
	struct slot *s = &l->slot[lane];
	char why[256];

	if (result != LANES_DONE)
		lanes_learn_hold(l, s, false, status == 504, now_ms);
	if (result == LANES_STATUS && status == 404) {
		s->restart = true;
		l->stats.failed++;
		if (l->closing)
			l->over = true;
		/* It says nothing of the keys that were made meanwhile. */
		if (s->start_ms < l->hello_ms)
			return;
		/* It does not know us, or we have reached another. */
		l->need_hello = true;
		if (now_ms - l->hello_ms < HELLO_AGAIN_MS)
			lanes_wait(l, now_ms);
		return;
	}
	if (result == LANES_DONE)
		snprintf(why, sizeof(why), s->records > 0 ?
		    "the gateway's answers are cut short on the way" :
		    "something else answers in the gateway's place: a captive "
		    "portal or a proxy?");
	else if (result == LANES_STATUS)
		snprintf(why, sizeof(why), "the gateway cannot be reached "
		    "(HTTP %u)", status);
	else
		snprintf(why, sizeof(why), "%s", detail);
	lanes_failed(l, lane, why, now_ms);
}

void lanes_on_end(struct lanes *l, unsigned slot, enum lanes_result result,
    unsigned http_status, const char *detail, uint64_t now_ms)
{
	struct slot *s = &l->slot[slot];

	if (!s->busy)
		return;
	release_body(s);
	l->active_ms = now_ms;
	if (result != LANES_FAILED)
		lanes_heard(l, s, now_ms);
	if (slot > LANES_HELLO)		/* its lane has gone on without it */
		;
	else if (slot == LANES_HELLO)
		lanes_hello_ended(l, result, http_status, detail, now_ms);
	else if (result == LANES_DONE && s->ended && !s->bad)
		succeeded(l, slot, now_ms);
	else if (lanes_query_refused(l, s, result, http_status))
		s->restart = true;
	else if (result == LANES_STATUS &&
	    lanes_too_large(l, s, http_status, now_ms))
		s->restart = true;
	else if (s->streamed && http_status != 404)
		lanes_duplex_failed(l, slot, result, now_ms);
	else
		ended_badly(l, slot, result, http_status, detail, now_ms);
	l->ops->on_wake(l->ctx);
}

void lanes_cancel_all(struct lanes *l)
{
	for (unsigned i = 0; i < LANES_SLOTS; i++)
		if (l->slot[i].busy)
			cancel(l, i);
}
