#include "config.h"

#include "common/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define RING_FIRST 4u		/* slots in the first ring */
#define RING_KEEP 16u		/* slots that an empty one keeps */

/* What a free page holds: the next free page. */
struct free_page {
	struct free_page *next;
};

void page_pool_init(struct page_pool *pool, size_t keep)
{
	*pool = (struct page_pool){ .keep = keep };
}

void page_pool_fini(struct page_pool *pool)
{
	struct free_page *f = pool->free;

	assert(pool->used == 0);
	while (f != NULL) {
		struct free_page *next = f->next;

		free(f);
		f = next;
	}
	page_pool_init(pool, pool->keep);
}

/* A page, its content undefined; NULL when there is no memory. */
static uint8_t *page_get(struct page_pool *pool)
{
	struct free_page *f = pool->free;

	if (f != NULL) {
		pool->free = f->next;
		pool->free_count--;
	} else {
		f = malloc(PAGES_SIZE);
	}
	if (f != NULL)
		pool->used++;
	return (uint8_t *)f;
}

static void page_put(struct page_pool *pool, uint8_t *page)
{
	struct free_page *f = (void *)page;

	pool->used--;
	if (pool->free_count >= pool->keep) {
		free(f);
		return;
	}
	f->next = pool->free;
	pool->free = f;
	pool->free_count++;
}

void pages_init(struct pages *p, struct page_pool *pool)
{
	*p = (struct pages){ .pool = pool };
}

/* Where the page with this number is, or is to be. */
static uint8_t **slot(const struct pages *p, uint64_t number)
{
	return &p->ring[number & (p->ring_size - 1)];
}

/* Give back the pages with numbers in [from, to), as far as there are any. */
static void drop(struct pages *p, uint64_t from, uint64_t to)
{
	if (to - from > p->ring_size)
		to = from + p->ring_size;
	for (; from < to; from++) {
		uint8_t **page = slot(p, from);

		if (*page != NULL)
			page_put(p->pool, *page);
		*page = NULL;
	}
}

void pages_fini(struct pages *p)
{
	drop(p, 0, p->ring_size);
	free(p->ring);
	pages_init(p, p->pool);
}

/* Have a ring that holds the page with this number beside the front's. */
static int reach(struct pages *p, uint64_t number)
{
	uint64_t first = p->front / PAGES_SIZE;
	struct pages wider = *p;

	if (number - first < p->ring_size)
		return 0;
	if (wider.ring_size == 0)
		wider.ring_size = RING_FIRST;
	while (number - first >= wider.ring_size) {
		if (wider.ring_size > SIZE_MAX / 2)
			return ERR_NOMEM;
		wider.ring_size *= 2;
	}
	wider.ring = calloc(wider.ring_size, sizeof(*wider.ring));
	if (wider.ring == NULL)
		return ERR_NOMEM;
	for (uint64_t n = first; n < first + p->ring_size; n++)
		*slot(&wider, n) = *slot(p, n);
	free(p->ring);
	*p = wider;
	return 0;
}

/* How many of max bytes at offset lie in one page. */
static size_t in_page(uint64_t offset, size_t max)
{
	size_t n = PAGES_SIZE - (size_t)(offset % PAGES_SIZE);

	return n < max ? n : max;
}

int pages_write(struct pages *p, uint64_t offset, const void *data,
    size_t len)
{
	const uint8_t *from = data;
	int rc;

	assert(offset >= p->front);
	if (len == 0)
		return 0;
	rc = reach(p, (offset + len - 1) / PAGES_SIZE);
	if (rc != 0)
		return rc;
	while (len > 0) {
		uint8_t **page = slot(p, offset / PAGES_SIZE);
		size_t n = in_page(offset, len);

		if (*page == NULL) {
			*page = page_get(p->pool);
			if (*page == NULL)
				return ERR_NOMEM;
		}
		memcpy(*page + offset % PAGES_SIZE, from, n);
		from += n;
		offset += n;
		len -= n;
	}
	return 0;
}

void pages_read(const struct pages *p, uint64_t offset, void *out, size_t len)
{
	uint8_t *to = out;

	while (len > 0) {
		const uint8_t *at;
		size_t n = pages_peek(p, offset, len, &at);

		memcpy(to, at, n);
		to += n;
		offset += n;
		len -= n;
	}
}

size_t pages_peek(const struct pages *p, uint64_t offset, size_t max,
    const uint8_t **out)
{
	const uint8_t *page;

	if (max == 0)
		return 0;
	assert(offset >= p->front);
	assert(offset / PAGES_SIZE - p->front / PAGES_SIZE < p->ring_size);
	page = *slot(p, offset / PAGES_SIZE);
	assert(page != NULL);
	*out = page + offset % PAGES_SIZE;
	return in_page(offset, max);
}

void pages_release(struct pages *p, uint64_t offset)
{
	assert(offset >= p->front);
	drop(p, p->front / PAGES_SIZE, offset / PAGES_SIZE);
	p->front = offset;
}

void pages_clear(struct pages *p, uint64_t offset)
{
	assert(offset >= p->front);
	if (p->ring_size > RING_KEEP) {
		pages_fini(p);
	} else {
		drop(p, p->front / PAGES_SIZE,
		    (offset + PAGES_SIZE - 1) / PAGES_SIZE);
	}
	p->front = offset;
}
