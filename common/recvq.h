/*
 * The receiving half of a stream: puts pieces that arrive in any order, and
 * more than once, back together, never beyond the limit that was granted.
 */
#ifndef COMMON_RECVQ_H
#define COMMON_RECVQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/pages.h"
#include "common/ranges.h"

struct recvq {
	struct pages pages;	/* private */
	uint64_t read;		/* consumed by the application */
	uint64_t ready;		/* in order up to here */
	uint64_t limit;		/* granted to the peer */
	struct ranges got;	/* private: arrived, above ready */
	bool has_fin;
	uint64_t fin;		/* where the stream ends, with has_fin */
};

void recvq_init(struct recvq *q, struct page_pool *pool, uint64_t limit);
void recvq_fini(struct recvq *q);

/*
 * A piece arrived; what is known already is dropped. *fresh: more can be read
 * now (bytes, or the end of stream). 0; ERR_PROTO: beyond the limit, beyond
 * the end, or another end than before; ERR_LIMIT: too many holes; ERR_NOMEM.
 */
int recvq_write(struct recvq *q, uint64_t offset, const void *data,
    size_t len, bool fin, bool *fresh);

/* In-order bytes that lie together in memory; 0 when there are none. */
size_t recvq_peek(const struct recvq *q, const uint8_t **out);

/* A copy of up to max in-order bytes from the front, without consuming. */
size_t recvq_copy(const struct recvq *q, void *out, size_t max);

/* n <= ready - read bytes are done with. */
void recvq_consume(struct recvq *q, size_t n);

bool recvq_at_end(const struct recvq *q);	/* all read, and it ended */
uint64_t recvq_kept(const struct recvq *q);	/* bytes in memory */

#endif
