/*
 * The sending half of a stream: the bytes that the peer has not acknowledged
 * yet, which of them are new, in flight or lost, and the end of stream.
 *
 * Knows offsets, not records: whoever packs frames asks what is next, says
 * that it was taken, and later that it was acknowledged or lost.
 */
#ifndef COMMON_SENDQ_H
#define COMMON_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/pages.h"
#include "common/ranges.h"

enum sendq_fin {
	SENDQ_OPEN,
	SENDQ_FIN_QUEUED,
	SENDQ_FIN_SENT,
	SENDQ_FIN_ACKED
};

struct sendq {
	struct pages pages;	/* private: [acked, end) */
	uint64_t acked;		/* everything below is acknowledged */
	uint64_t sent;		/* everything below was sent at least once */
	uint64_t end;		/* everything below was queued */
	uint64_t limit;		/* the peer takes nothing from here on */
	struct ranges lost;	/* private: below sent, to be sent again */
	struct ranges acks;	/* private: acknowledged, above acked */
	enum sendq_fin fin;
};

/* A piece of the stream that can be sent. */
struct sendq_piece {
	uint64_t offset;
	size_t len;		/* may be 0 when fin is set */
	bool fin;		/* the stream ends behind it */
};

void sendq_init(struct sendq *q, struct page_pool *pool, uint64_t limit);
void sendq_fini(struct sendq *q);

/* Queue a copy of len bytes. 0, ERR_NOMEM, or ERR_STATE after sendq_finish. */
int sendq_write(struct sendq *q, const void *data, size_t len);

/* Nothing follows the bytes queued so far. */
void sendq_finish(struct sendq *q);

/* The peer's new limit; a lower one than before is ignored. */
void sendq_widen(struct sendq *q, uint64_t limit);

/*
 * What is to be sent next, at most max bytes: what was lost first, then new
 * bytes below the limit. False when there is nothing. The end of stream costs
 * no credit.
 */
bool sendq_next(const struct sendq *q, size_t max, struct sendq_piece *out);

/* The bytes of a piece, copied out. */
void sendq_read(const struct sendq *q, const struct sendq_piece *p,
    void *out);

/* The piece that sendq_next returned is on its way. */
void sendq_took(struct sendq *q, const struct sendq_piece *p);

/* The fate of a piece that was taken; any order, any number of times. */
void sendq_on_acked(struct sendq *q, const struct sendq_piece *p);
void sendq_on_lost(struct sendq *q, const struct sendq_piece *p);

bool sendq_has_work(const struct sendq *q);	/* would sendq_next say yes? */
uint64_t sendq_backlog(const struct sendq *q);	/* bytes it could send now */
uint64_t sendq_lost(const struct sendq *q);	/* of those, for another time */
uint64_t sendq_kept(const struct sendq *q);	/* bytes in memory */
bool sendq_is_done(const struct sendq *q);	/* end of stream acknowledged */

#endif
