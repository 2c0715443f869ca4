#include "config.h"

#include "server/sources.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/bucket.h"
#include "common/crypto.h"
#include "common/err.h"

#define BUCKETS 4096u

struct source {
	TAILQ_ENTRY(source) age;
	LIST_ENTRY(source) link;	/* of its bucket */
	uint8_t address[16];
	unsigned strangers;
	struct bucket hellos;
};

struct sources {
	struct sources_limits limits;
	uint64_t secret;		/* so that nobody can choose a bucket */
	struct bucket hellos;
	struct source shared;		/* of those that found no place */
	size_t count;
	TAILQ_HEAD(, source) quiet;	/* no strangers; the oldest first */
	LIST_HEAD(source_list, source) buckets[BUCKETS];
};

void sources_defaults(struct sources_limits *l)
{
	l->max_strangers = 128;
	l->hello_rate = 50;
	l->hello_burst = 500;
	l->hello_rate_all = 1000;
}

int sources_new(struct sources **out, const struct sources_limits *l)
{
	struct sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	s->limits = *l;
	crypto_random(&s->secret, sizeof(s->secret));
	bucket_init(&s->hellos, 2 * l->hello_rate_all, 0);
	bucket_init(&s->shared.hellos, l->hello_burst, 0);
	TAILQ_INIT(&s->quiet);
	*out = s;
	return 0;
}

void sources_free(struct sources *s)
{
	struct source *source;

	if (s == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while ((source = LIST_FIRST(&s->buckets[i])) != NULL) {
			LIST_REMOVE(source, link);
			free(source);
		}
	free(s);
}

void sources_reconfigure(struct sources *s, const struct sources_limits *l)
{
	s->limits = *l;
}

/* ---- addresses -------------------------------------------------------- */

static bool is_v4(const uint8_t address[16])
{
	struct in6_addr a;

	memcpy(&a, address, sizeof(a));
	return IN6_IS_ADDR_V4MAPPED(&a);
}

void sources_reduce(uint8_t address[16])
{
	if (!is_v4(address))
		memset(address + 8, 0, 8);
}

const char *sources_text(const uint8_t address[16],
    char out[SOURCES_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN] = "";

	if (is_v4(address))
		(void)inet_ntop(AF_INET, address + 12, text, sizeof(text));
	else	/* neither can fail: there is room */
		(void)inet_ntop(AF_INET6, address, text, sizeof(text));
	snprintf(out, SOURCES_TEXT_MAX, "%s%s", text,
	    is_v4(address) ? "" : "/64");
	return out;
}

/* ---- the table -------------------------------------------------------- */

/* Multiplied by a secret odd number: good enough where chains are short. */
static struct source_list *bucket_of(const struct sources *s,
    const uint8_t address[16])
{
	uint64_t high, low, h;

	memcpy(&high, address, 8);
	memcpy(&low, address + 8, 8);
	h = (high ^ s->secret) * (s->secret | 1);
	h = (h ^ h >> 29 ^ low) * (s->secret | 1);
	return (struct source_list *)&s->buckets[(h >> 40) % BUCKETS];
}

static struct source *find(const struct sources *s, const uint8_t address[16])
{
	struct source *source;

	LIST_FOREACH(source, bucket_of(s, address), link)
		if (memcmp(source->address, address, 16) == 0)
			return source;
	return NULL;
}

static void forget(struct sources *s, struct source *source)
{
	TAILQ_REMOVE(&s->quiet, source, age);
	LIST_REMOVE(source, link);
	s->count--;
	free(source);
}

/*
 * Those that have been quiet for so long that it makes no difference are
 * forgotten on the way, a few at a time, so that the table gets small again.
 */
static void forget_old(struct sources *s, uint64_t now_ms)
{
	struct source *source;

	for (unsigned i = 0; i < 2; i++) {
		source = TAILQ_FIRST(&s->quiet);
		if (source == NULL || !bucket_is_full(&source->hellos,
		    s->limits.hello_rate, s->limits.hello_burst, now_ms))
			break;
		forget(s, source);
	}
	source = TAILQ_FIRST(&s->quiet);
	if (s->count >= SOURCES_MAX && source != NULL)
		forget(s, source);
}

static struct source *find_or_add(struct sources *s,
    const uint8_t address[16], uint64_t now_ms)
{
	struct source *source = find(s, address);

	if (source != NULL)
		return source;
	forget_old(s, now_ms);
	if (s->count >= SOURCES_MAX ||
	    (source = calloc(1, sizeof(*source))) == NULL)
		return &s->shared;
	memcpy(source->address, address, 16);
	bucket_init(&source->hellos, s->limits.hello_burst, now_ms);
	LIST_INSERT_HEAD(bucket_of(s, address), source, link);
	TAILQ_INSERT_TAIL(&s->quiet, source, age);
	s->count++;
	return source;
}

size_t sources_count(const struct sources *s)
{
	return s->count;
}

/* ---- strangers and hellos --------------------------------------------- */

struct source *sources_enter(struct sources *s, const uint8_t address[16],
    uint64_t now_ms)
{
	struct source *source = find_or_add(s, address, now_ms);

	if (source->strangers >= s->limits.max_strangers)
		return NULL;
	if (source->strangers++ == 0 && source != &s->shared)
		TAILQ_REMOVE(&s->quiet, source, age);
	return source;
}

void sources_leave(struct sources *s, struct source *source)
{
	if (--source->strangers == 0 && source != &s->shared)
		TAILQ_INSERT_TAIL(&s->quiet, source, age);
}

bool sources_is_full(const struct sources *s, const uint8_t address[16])
{
	const struct source *source = find(s, address);

	return source != NULL &&
	    source->strangers >= s->limits.max_strangers;
}

enum sources_verdict sources_hello(struct sources *s, const uint8_t *address,
    uint64_t now_ms)
{
	const struct sources_limits *l = &s->limits;
	struct source *source;

	/* Its own limit first: what that refuses costs the others nothing. */
	if (address != NULL) {
		source = find_or_add(s, address, now_ms);
		if (!bucket_take(&source->hellos, l->hello_rate,
		    l->hello_burst, now_ms))
			return SOURCES_LIMIT;
	}
	return bucket_take(&s->hellos, l->hello_rate_all,
	    2 * l->hello_rate_all, now_ms) ? SOURCES_OK : SOURCES_LIMIT_ALL;
}
