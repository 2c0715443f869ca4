/*
 * Which streams have asked something and wait for the answer, how long answers
 * take, and when one is overdue.
 */
#include "config.h"

#include "common/session_impl.h"

#define PATIENCE_MIN_MS 20u	/* beyond what answers take */

void stream_forget_question(struct stream *st)
{
	struct session *s = st->s;

	if (!st->is_asking)
		return;
	st->is_asking = st->is_excused = false;
	if (st->asking_prev != NULL)
		st->asking_prev->asking_next = st->asking_next;
	else
		s->asking = st->asking_next;
	if (st->asking_next != NULL)
		st->asking_next->asking_prev = st->asking_prev;
	else
		s->asking_last = st->asking_prev;
	s->asking_count--;
}

void stream_asked(struct stream *st, uint64_t now_ms)
{
	struct session *s = st->s;
	struct stream *before = s->asking_last;

	if (st->is_asking)
		return;
	st->is_asking = true;
	st->asked_ms = now_ms;
	/* The last one, but for what is imported. */
	while (before != NULL && before->asked_ms > now_ms)
		before = before->asking_prev;
	st->asking_prev = before;
	st->asking_next = before != NULL ? before->asking_next : s->asking;
	if (before != NULL)
		before->asking_next = st;
	else
		s->asking = st;
	if (st->asking_next != NULL)
		st->asking_next->asking_prev = st;
	else
		s->asking_last = st;
	s->asking_count++;
}

/* RFC 6298, section 2, in milliseconds. */
static void learn_answer(struct session *s, uint64_t took_ms)
{
	uint64_t off = took_ms > s->answer_ms ? took_ms - s->answer_ms :
	    s->answer_ms - took_ms;

	if (took_ms == 0)
		took_ms = 1;
	if (s->answer_ms == 0) {
		s->answer_ms = took_ms;
		s->answer_var_ms = took_ms / 2;
		return;
	}
	s->answer_var_ms = (3 * s->answer_var_ms + off) / 4;
	s->answer_ms = (7 * s->answer_ms + took_ms) / 8;
}

void stream_answered(struct stream *st, uint64_t now_ms)
{
	if (st->is_asking && !st->is_excused && !stream_is_bulk(st, now_ms))
		learn_answer(st->s, now_ms - st->asked_ms);
	stream_forget_question(st);
}

uint64_t session_overdue_at(const struct session *s)
{
	const struct stream *st = s->asking;
	uint64_t wait = s->answer_ms + 4 * s->answer_var_ms;

	while (st != NULL && (st->is_excused || st->burst > STREAM_BULK_BYTES))
		st = st->asking_next;
	if (st == NULL || s->answer_ms == 0)
		return UINT64_MAX;
	if (wait < s->answer_ms + s->answer_ms / 2)
		wait = s->answer_ms + s->answer_ms / 2;
	if (wait < s->answer_ms + PATIENCE_MIN_MS)
		wait = s->answer_ms + PATIENCE_MIN_MS;
	return st->asked_ms + wait;
}

uint64_t session_give_patience(struct session *s)
{
	uint64_t oldest = UINT64_MAX;
	struct stream *st;

	for (st = s->asking; st != NULL; st = st->asking_next) {
		if (!st->is_excused && st->asked_ms < oldest)
			oldest = st->asked_ms;
		st->is_excused = true;
	}
	return oldest;
}
