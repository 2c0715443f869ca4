/*
 * What records carried, until their fate is known: by lane, in order, so that
 * the lane rule and acknowledgements find them. Knows numbers and lanes, not
 * what the items mean.
 */
#ifndef COMMON_SENT_H
#define COMMON_SENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/frame.h"
#include "common/session.h"

#define SENT_ITEMS 8u		/* frames in one record that can be lost */
#define SENT_RECORDS_MAX 8192u	/* unacknowledged at once */

/* One frame: its type, and of DATA which piece. */
struct sent_item {
	enum frame_type type;
	bool fin;
	uint32_t len;
	uint64_t stream;
	uint64_t offset;
};

struct sent_record {
	struct sent_record *next;	/* private */
	uint64_t number;
	uint64_t exchange;
	uint32_t size;		/* bytes on the wire */
	uint64_t ack_to;	/* its ACK reported everything below; 0: none */
	unsigned ack_turn;	/* see session_impl.h */
	unsigned count;
	struct sent_item item[SENT_ITEMS];
};

struct sent_lane {
	struct sent_record *head, *last;
	uint64_t flight;		/* bytes in these */
};

struct sent {
	struct sent_lane *lane;		/* so far as they have been used: */
	size_t lanes;			/* few without bulk */
	uint64_t flight;		/* in all lanes */
	struct sent_record *free;	/* for reuse */
	unsigned spare;			/* how many of those */
	unsigned count;			/* records taken by sent_new */
	unsigned carrying;		/* those pushed that hold items */
};

void sent_init(struct sent *s);
void sent_fini(struct sent *s);

/*
 * An empty record to be filled in, for this lane; or NULL: SENT_RECORDS_MAX or
 * no memory.
 */
struct sent_record *sent_new(struct sent *s, uint64_t lane);

/* It is on its way on that lane; numbers grow. Or it is not used after all. */
void sent_push(struct sent *s, uint64_t lane, struct sent_record *r);
void sent_drop(struct sent *s, struct sent_record *r);

typedef void (*sent_fn)(void *ctx, const struct sent_record *r);

/*
 * fn for every record whose number lies in ack[0..count) (highest first,
 * disjoint); they are then forgotten. fn must not add records.
 */
void sent_acked(struct sent *s, const struct range *ack, size_t count,
    sent_fn fn, void *ctx);

/* fn for every record of the lane from an exchange before this one. */
void sent_lost(struct sent *s, uint64_t lane, uint64_t exchange, sent_fn fn,
    void *ctx);

bool sent_pending(const struct sent *s, uint64_t lane);
uint64_t sent_flight(const struct sent *s, uint64_t lane);	/* bytes */

/* The lowest number of the lane that is still open, or UINT64_MAX. */
uint64_t sent_oldest(const struct sent *s, uint64_t lane);

#endif
