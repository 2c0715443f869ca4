/*
 * Where strangers come from: how many requests of each source have not proved
 * yet to come from a device, and how many hellos it has sent lately. A source
 * is an IPv4 address or an IPv6 /64, which is what one customer gets.
 *
 * The table is bounded. One that is full forgets the source that was quiet
 * for longest; where all are busy, those that come now share one place. Knows
 * neither HTTP nor sessions.
 */
#ifndef SERVER_SOURCES_H
#define SERVER_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCES_MAX 8192u	/* sources remembered at once */
#define SOURCES_TEXT_MAX 64u

struct sources;
struct source;

struct sources_limits {
	uint64_t max_strangers;		/* of one source at once: 128 */
	uint64_t hello_rate;		/* of one source, per second: 50 */
	uint64_t hello_burst;		/* and at once: 500 */
	uint64_t hello_rate_all;	/* of all, per second; twice at once */
};
void sources_defaults(struct sources_limits *l);

int sources_new(struct sources **out, const struct sources_limits *l);
void sources_free(struct sources *s);

/* For what comes. */
void sources_reconfigure(struct sources *s, const struct sources_limits *l);

/* An address as networks.h has it becomes the one of its source. */
void sources_reduce(uint8_t address[16]);

/* "192.0.2.1", "2001:db8::/64". Returns out. */
const char *sources_text(const uint8_t address[16],
    char out[SOURCES_TEXT_MAX]);

/*
 * A stranger comes (its source's address, reduced): the source, to be handed
 * back by sources_leave when it is known or gone. NULL: there are
 * max_strangers already.
 */
struct source *sources_enter(struct sources *s, const uint8_t address[16],
    uint64_t now_ms);
void sources_leave(struct sources *s, struct source *source);

/* Would sources_enter return NULL? */
bool sources_is_full(const struct sources *s, const uint8_t address[16]);

enum sources_verdict {
	SOURCES_OK,
	SOURCES_LIMIT,		/* hello_rate of this source */
	SOURCES_LIMIT_ALL	/* hello_rate_all */
};

/* A hello has come; address NULL: nobody knows from where. */
enum sources_verdict sources_hello(struct sources *s, const uint8_t *address,
    uint64_t now_ms);

/* How many are remembered. */
size_t sources_count(const struct sources *s);

#endif
