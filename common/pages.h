/*
 * A stretch of a byte stream, addressed by the stream's own offsets and kept
 * in small pages: allocated when first written, freed when the front has
 * passed. The send half of a stream appends and reads again what was lost; the
 * receive half writes pieces wherever they belong and reads at the front.
 *
 * What is written where is the caller's business: reading a place that was
 * never written is a bug of the caller's, and not detected.
 */
#ifndef COMMON_PAGES_H
#define COMMON_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define PAGES_SIZE 4096u	/* bytes in a page */

/*
 * Pages that are free at the moment, shared by the streams of a session or of
 * several, so that steady traffic allocates nothing. Keeps at most `keep` free
 * pages.
 */
struct page_pool {
	void *free;		/* private */
	size_t free_count;	/* private */
	size_t keep;		/* private */
	size_t used;		/* pages handed out, for accounting */
};
void page_pool_init(struct page_pool *pool, size_t keep);
void page_pool_fini(struct page_pool *pool);	/* all pages are back */

struct pages {
	struct page_pool *pool;	/* private */
	uint8_t **ring;		/* private: page pointers, power of two */
	size_t ring_size;	/* private */
	uint64_t front;		/* offset of the first byte still kept */
};

/* Nothing kept, front at offset 0. The pool outlives the pages. */
void pages_init(struct pages *p, struct page_pool *pool);
void pages_fini(struct pages *p);

/*
 * Store data at [offset, offset + len); offset >= front. Pages are allocated
 * as needed. The caller limits offset + len - front (the stream's window).
 * 0 or ERR_NOMEM (some of the data may have been stored; no harm).
 */
int pages_write(struct pages *p, uint64_t offset, const void *data,
    size_t len);

/* Copy len bytes at offset out; all of them were written before. */
void pages_read(const struct pages *p, uint64_t offset, void *out, size_t len);

/*
 * The bytes at offset that lie next to each other in memory, at most max, at
 * least 1 when max > 0: pointer in *out, count returned. Valid until they
 * are released; writes elsewhere do not move them.
 */
size_t pages_peek(const struct pages *p, uint64_t offset, size_t max,
    const uint8_t **out);

/* Everything below offset is no longer needed: the front moves there. */
void pages_release(struct pages *p, uint64_t offset);

/*
 * The same where nothing was written at offset or behind it: what is idle
 * keeps no page, not even one that is half full.
 */
void pages_clear(struct pages *p, uint64_t offset);

#endif
