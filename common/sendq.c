#include "config.h"

#include "common/sendq.h"

#include "common/err.h"

/*
 * More holes than this are forgotten in a safe way: too many pieces are sent
 * again, none too few.
 */
#define RANGES_MAX 1024u

void sendq_init(struct sendq *q, struct page_pool *pool, uint64_t limit)
{
	*q = (struct sendq){ .limit = limit, .fin = SENDQ_OPEN };
	pages_init(&q->pages, pool);
	ranges_init(&q->lost, RANGES_MAX);
	ranges_init(&q->acks, RANGES_MAX);
}

void sendq_fini(struct sendq *q)
{
	pages_fini(&q->pages);
	ranges_fini(&q->lost);
	ranges_fini(&q->acks);
}

int sendq_write(struct sendq *q, const void *data, size_t len)
{
	int rc;

	if (q->fin != SENDQ_OPEN)
		return ERR_STATE;
	rc = pages_write(&q->pages, q->end, data, len);
	if (rc == 0)
		q->end += len;
	return rc;
}

void sendq_finish(struct sendq *q)
{
	if (q->fin == SENDQ_OPEN)
		q->fin = SENDQ_FIN_QUEUED;
}

void sendq_widen(struct sendq *q, uint64_t limit)
{
	if (limit > q->limit)
		q->limit = limit;
}

/* Where new bytes stop for now. */
static uint64_t send_end(const struct sendq *q)
{
	return q->end < q->limit ? q->end : q->limit;
}

bool sendq_next(const struct sendq *q, size_t max, struct sendq_piece *out)
{
	uint64_t from, to;

	if (q->lost.count > 0) {
		from = q->lost.r[0].from;
		to = q->lost.r[0].to;
	} else {
		from = q->sent;
		to = send_end(q);
		if (to < from)
			to = from;
	}
	if (to - from > max)
		to = from + max;
	out->offset = from;
	out->len = (size_t)(to - from);
	out->fin = q->fin == SENDQ_FIN_QUEUED && to == q->end;
	return out->len > 0 || out->fin;
}

void sendq_read(const struct sendq *q, const struct sendq_piece *p, void *out)
{
	if (p->len > 0)
		pages_read(&q->pages, p->offset, out, p->len);
}

void sendq_took(struct sendq *q, const struct sendq_piece *p)
{
	uint64_t to = p->offset + p->len;

	if (p->offset == q->sent)
		q->sent = to;
	else	/* the front of the first lost range: never splits one */
		(void)ranges_remove(&q->lost, p->offset, to);
	if (p->fin)
		q->fin = SENDQ_FIN_SENT;
}

void sendq_on_acked(struct sendq *q, const struct sendq_piece *p)
{
	uint64_t from = p->offset, to = p->offset + p->len;

	if (p->fin)
		q->fin = SENDQ_FIN_ACKED;
	if (from < q->acked)
		from = q->acked;
	if (from >= to)
		return;
	/* Where a split finds no place, the bytes are sent once too often. */
	(void)ranges_remove(&q->lost, from, to);
	if (from > q->acked) {
		if (ranges_add(&q->acks, from, to) != 0)
			(void)ranges_add(&q->lost, q->acked, q->sent);
		return;
	}
	q->acked = to;
	while (q->acks.count > 0 && q->acks.r[0].from <= q->acked) {
		if (q->acks.r[0].to > q->acked)
			q->acked = q->acks.r[0].to;
		ranges_drop_below(&q->acks, q->acked);
	}
	ranges_drop_below(&q->lost, q->acked);
	if (q->acked == q->end)
		pages_clear(&q->pages, q->acked);
	else
		pages_release(&q->pages, q->acked);
}

void sendq_on_lost(struct sendq *q, const struct sendq_piece *p)
{
	uint64_t from = p->offset, to = p->offset + p->len;
	struct range gap;

	if (p->fin && q->fin == SENDQ_FIN_SENT)
		q->fin = SENDQ_FIN_QUEUED;
	if (from < q->acked)
		from = q->acked;
	while (from < to && ranges_first_gap(&q->acks, from, to, &gap)) {
		if (ranges_add(&q->lost, gap.from, gap.to) != 0) {
			(void)ranges_add(&q->lost, q->acked, q->sent);
			return;
		}
		from = gap.to;
	}
}

bool sendq_has_work(const struct sendq *q)
{
	struct sendq_piece p;

	return sendq_next(q, 1, &p);
}

uint64_t sendq_lost(const struct sendq *q)
{
	uint64_t n = 0;

	for (size_t i = 0; i < q->lost.count; i++)
		n += q->lost.r[i].to - q->lost.r[i].from;
	return n;
}

uint64_t sendq_backlog(const struct sendq *q)
{
	uint64_t n = sendq_lost(q);

	if (send_end(q) > q->sent)
		n += send_end(q) - q->sent;
	return n;
}

uint64_t sendq_kept(const struct sendq *q)
{
	return q->end - q->acked;
}

bool sendq_is_done(const struct sendq *q)
{
	return q->fin == SENDQ_FIN_ACKED && q->acked == q->end;
}
