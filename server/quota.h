/*
 * How many streams each device has, and all of them together, against what
 * each and all may have. Knows keys, not streams.
 */
#ifndef SERVER_QUOTA_H
#define SERVER_QUOTA_H

#include <stdint.h>

struct quota;

enum quota_verdict { QUOTA_OK, QUOTA_DEVICE, QUOTA_ALL };

/* NULL without memory. */
struct quota *quota_new(void);
void quota_free(struct quota *q);

/*
 * One more for the holder of this key: QUOTA_OK, to be handed back by
 * quota_give, or which of the two limits is in the way (QUOTA_ALL also
 * without memory).
 */
enum quota_verdict quota_take(struct quota *q, const uint8_t key[32],
    uint64_t max_device, uint64_t max_all);
void quota_give(struct quota *q, const uint8_t key[32]);

#endif
