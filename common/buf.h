/*
 * A growing byte queue with a cap: appended at the end, consumed at the front.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *mem;		/* private */
	size_t start, end;	/* private: the content is mem[start..end) */
	size_t size;		/* private: allocated */
	size_t cap;		/* private: the content never exceeds this */
};

/*
 * An empty buffer that will hold at most cap bytes; allocates nothing yet, and
 * never more than one and a half times the cap.
 */
void buf_init(struct buf *b, size_t cap);

/* Release the memory; the buffer is empty and can be used again. */
void buf_fini(struct buf *b);

/* The content. The pointer is valid until the buffer is next changed. */
const uint8_t *buf_data(const struct buf *b);
size_t buf_len(const struct buf *b);

/* How many bytes could still be appended before the cap. */
size_t buf_room(const struct buf *b);

/* Append a copy. 0, ERR_LIMIT (nothing appended) or ERR_NOMEM. */
int buf_append(struct buf *b, const void *data, size_t len);

/*
 * Room for len bytes at the end, to be written by the caller and then made
 * part of the content by buf_commit(b, n), n <= len. 0, ERR_LIMIT, ERR_NOMEM.
 */
int buf_reserve(struct buf *b, size_t len, uint8_t **out);
void buf_commit(struct buf *b, size_t n);

/* Drop n <= buf_len(b) bytes from the front; all of them; the last ones. */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);
void buf_truncate(struct buf *b, size_t len);

#endif
