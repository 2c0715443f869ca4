#include "config.h"

#include "common/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define SIZE_FIRST 256u		/* bytes of the first allocation */

void buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){ .cap = cap };
}

void buf_fini(struct buf *b)
{
	free(b->mem);
	buf_init(b, b->cap);
}

const uint8_t *buf_data(const struct buf *b)
{
	static const uint8_t nothing;

	/* Never NULL, so that memcpy may be given an empty buffer. */
	return b->mem == NULL ? &nothing : b->mem + b->start;
}

size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

size_t buf_room(const struct buf *b)
{
	return b->cap - buf_len(b);
}

/*
 * How much to allocate for a content of `need` bytes: twice that, but no more
 * than half above the cap. That half lets the content travel towards the end
 * for a while before it has to be moved to the front again.
 */
static size_t grown(const struct buf *b, size_t need)
{
	size_t most = b->cap > SIZE_MAX - b->cap / 2 ? SIZE_MAX :
	    b->cap + b->cap / 2;
	size_t size = need > SIZE_MAX / 2 ? need : need * 2;

	if (size < SIZE_FIRST)
		size = SIZE_FIRST;
	return size > most ? most : size;
}

/* Move the content into a larger allocation. */
static int grow(struct buf *b, size_t need)
{
	size_t size = grown(b, need), len = buf_len(b);
	uint8_t *mem = malloc(size);

	if (mem == NULL)
		return ERR_NOMEM;
	if (len > 0)
		memcpy(mem, b->mem + b->start, len);
	free(b->mem);
	b->mem = mem;
	b->size = size;
	b->start = 0;
	b->end = len;
	return 0;
}

int buf_reserve(struct buf *b, size_t len, uint8_t **out)
{
	size_t kept = buf_len(b);
	int rc;

	if (len > buf_room(b))
		return ERR_LIMIT;
	if (b->mem == NULL || len > b->size - b->end) {
		/*
		 * Moving costs at most two bytes for each one consumed since
		 * the last time; so the whole stays linear.
		 */
		if (b->start > 0 && b->start >= kept / 2 &&
		    len <= b->size - kept) {
			memmove(b->mem, b->mem + b->start, kept);
			b->start = 0;
			b->end = kept;
		} else {
			rc = grow(b, kept + len);
			if (rc != 0)
				return rc;
		}
	}
	*out = b->mem + b->end;
	return 0;
}

void buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->size - b->end);
	b->end += n;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	uint8_t *p;
	int rc;

	if (len == 0)
		return 0;
	rc = buf_reserve(b, len, &p);
	if (rc != 0)
		return rc;
	memcpy(p, data, len);
	b->end += len;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		buf_clear(b);
}

void buf_clear(struct buf *b)
{
	b->start = 0;
	b->end = 0;
}

void buf_truncate(struct buf *b, size_t len)
{
	assert(len <= buf_len(b));
	b->end = b->start + len;
}
