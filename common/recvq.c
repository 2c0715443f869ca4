#include "config.h"

#include "common/recvq.h"

#include <assert.h>

#include "common/err.h"

/* An honest peer leaves at most one hole per lane and record in flight. */
#define HOLES_MAX 1024u

void recvq_init(struct recvq *q, struct page_pool *pool, uint64_t limit)
{
	*q = (struct recvq){ .limit = limit };
	pages_init(&q->pages, pool);
	ranges_init(&q->got, HOLES_MAX);
}

void recvq_fini(struct recvq *q)
{
	pages_fini(&q->pages);
	ranges_fini(&q->got);
}

/* Does a piece fit to what was granted and to the end of stream? */
static int check(const struct recvq *q, uint64_t offset, size_t len, bool fin)
{
	if (offset > q->limit || len > q->limit - offset)
		return ERR_PROTO;
	if (q->has_fin && offset + len > q->fin)
		return ERR_PROTO;
	if (!fin)
		return 0;
	if (q->has_fin && offset + len != q->fin)
		return ERR_PROTO;
	if (offset + len < q->ready)
		return ERR_PROTO;
	if (q->got.count > 0 &&
	    offset + len < q->got.r[q->got.count - 1].to)
		return ERR_PROTO;
	return 0;
}

/* Move ready over what lies behind it now. */
static void advance(struct recvq *q)
{
	while (q->got.count > 0 && q->got.r[0].from <= q->ready) {
		if (q->got.r[0].to > q->ready)
			q->ready = q->got.r[0].to;
		ranges_drop_below(&q->got, q->ready);
	}
}

int recvq_write(struct recvq *q, uint64_t offset, const void *data,
    size_t len, bool fin, bool *fresh)
{
	const uint8_t *p = data;
	uint64_t end = offset + len, ready = q->ready;
	bool had_fin = q->has_fin;
	int rc;

	rc = check(q, offset, len, fin);
	if (rc != 0)
		return rc;
	*fresh = false;
	if (end > q->ready) {
		if (offset < q->ready) {
			p += q->ready - offset;
			offset = q->ready;
			len = (size_t)(end - offset);
		}
		rc = pages_write(&q->pages, offset, p, len);
		if (rc != 0)
			return rc;
		if (offset == q->ready)
			q->ready = end;
		else
			rc = ranges_add(&q->got, offset, end);
		if (rc != 0)
			return rc;
		advance(q);
	}
	if (fin) {
		q->has_fin = true;
		q->fin = end;
	}
	*fresh = q->ready > ready ||
	    (q->has_fin && !had_fin && q->ready == q->fin);
	return 0;
}

size_t recvq_peek(const struct recvq *q, const uint8_t **out)
{
	if (q->ready == q->read)
		return 0;
	return pages_peek(&q->pages, q->read, (size_t)(q->ready - q->read),
	    out);
}

size_t recvq_copy(const struct recvq *q, void *out, size_t max)
{
	size_t n = (size_t)(q->ready - q->read);

	if (n > max)
		n = max;
	if (n > 0)
		pages_read(&q->pages, q->read, out, n);
	return n;
}

void recvq_consume(struct recvq *q, size_t n)
{
	assert(n <= q->ready - q->read);
	q->read += n;
	if (q->read == q->ready && q->got.count == 0)
		pages_clear(&q->pages, q->read);
	else
		pages_release(&q->pages, q->read);
}

bool recvq_at_end(const struct recvq *q)
{
	return q->has_fin && q->read == q->fin;
}

uint64_t recvq_kept(const struct recvq *q)
{
	uint64_t n = q->ready - q->read;

	for (size_t i = 0; i < q->got.count; i++)
		n += q->got.r[i].to - q->got.r[i].from;
	return n;
}
