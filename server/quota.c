#include "config.h"

#include "server/quota.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 1024u

struct share {
	LIST_ENTRY(share) link;
	uint8_t key[32];
	uint64_t count;			/* never 0 */
};

struct quota {
	uint64_t count;
	LIST_HEAD(share_list, share) buckets[BUCKETS];
};

struct quota *quota_new(void)
{
	return calloc(1, sizeof(struct quota));
}

void quota_free(struct quota *q)
{
	struct share *share;

	if (q == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while ((share = LIST_FIRST(&q->buckets[i])) != NULL) {
			LIST_REMOVE(share, link);
			free(share);
		}
	free(q);
}

static struct share_list *bucket(struct quota *q, const uint8_t key[32])
{
	uint32_t h;

	/* Only registered devices come here: no choosing of clashes. */
	memcpy(&h, key, sizeof(h));
	return &q->buckets[h % BUCKETS];
}

static struct share *find(struct quota *q, const uint8_t key[32])
{
	struct share *share;

	LIST_FOREACH(share, bucket(q, key), link)
		if (memcmp(share->key, key, sizeof(share->key)) == 0)
			return share;
	return NULL;
}

enum quota_verdict quota_take(struct quota *q, const uint8_t key[32],
    uint64_t max_device, uint64_t max_all)
{
	struct share *share = find(q, key);

	if (share != NULL && share->count >= max_device)
		return QUOTA_DEVICE;
	if (q->count >= max_all)
		return QUOTA_ALL;
	if (share == NULL) {
		share = calloc(1, sizeof(*share));
		if (share == NULL)
			return QUOTA_ALL;
		memcpy(share->key, key, sizeof(share->key));
		LIST_INSERT_HEAD(bucket(q, key), share, link);
	}
	share->count++;
	q->count++;
	return QUOTA_OK;
}

void quota_give(struct quota *q, const uint8_t key[32])
{
	struct share *share = find(q, key);

	assert(share != NULL);
	q->count--;
	if (--share->count > 0)
		return;
	LIST_REMOVE(share, link);
	free(share);
}
