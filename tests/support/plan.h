/*
 * What a misbehaving proxy does to each exchange, drawn from a seed, and how
 * often it has done so. A plan is a function of the seed and of the exchange's
 * number; nothing here knows of sockets or of HTTP.
 */
#ifndef TESTS_SUPPORT_PLAN_H
#define TESTS_SUPPORT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* At most one of these befalls an exchange. */
enum fault {
	FAULT_CUT_REQUEST,	/* at a byte of the request */
	FAULT_CUT_RESPONSE,	/* at a byte of the response */
	FAULT_CUT_WAITING,	/* at a moment, whatever is under way */
	FAULT_STALL_REQUEST,	/* at a byte, then it goes on */
	FAULT_STALL_RESPONSE,
	FAULT_502,		/* in the place of the gateway's answer */
	FAULT_503,
	FAULT_504,		/* after a while */
	FAULT_PORTAL,		/* a page with status 200 */
	FAULT_TRUNCATE_REQUEST,	/* whole for HTTP, without its end for us */
	FAULT_TRUNCATE_RESPONSE,
	FAULT_REPEAT_REQUEST,	/* the gateway gets it twice */
	FAULT_REPEAT_RESPONSE,	/* a second one behind the first */
	FAULT_413,		/* for a large body */
	FAULT_404,		/* the same, as IIS says it */
	FAULTS			/* how many; and: none */
};

/* Each of these comes or stays away by itself. */
enum quirk {
	QUIRK_BUFFER_REQUEST,	/* the whole of it before anything goes on */
	QUIRK_BUFFER_RESPONSE,
	QUIRK_DELAY_REQUEST,	/* overtaken by others */
	QUIRK_DELAY_RESPONSE,
	QUIRK_STRIP_REQUEST,	/* of all lines that HTTP can do without */
	QUIRK_STRIP_RESPONSE,
	QUIRK_CLOSE,		/* the connection, behind the response */
	QUIRK_SOURCE,		/* another address towards the gateway */
	QUIRK_IDLE,		/* an idle connection is closed early */
	QUIRKS
};

struct plan {
	uint64_t number;	/* of the exchange */
	enum fault fault;
	bool quirk[QUIRKS];
	bool reset_client, reset_gateway;	/* RST or FIN when cut */
	bool seen;	/* the gateway gets the request that is refused */
	bool early;	/* the second copy is first; 413 before the body */
	double share;		/* where in what has a known length, 0..1 */
	uint64_t at;		/* where in what has none: few are far */
	uint32_t wait_ms;	/* before a cut, a 504 or a second copy */
	uint32_t stall_ms;	/* the same, but one in eight is very long */
	uint32_t delay_ms;
	unsigned source;	/* last byte of the address, 2..251 */
};

struct plans {
	uint64_t seed;
	bool on;		/* else every plan is empty */
	uint32_t stall_ms;	/* of the very long stalls */
	uint64_t exchanges, faults;
	uint64_t fault_count[FAULTS], quirk_count[QUIRKS];
	unsigned fault_chance[FAULTS], quirk_chance[QUIRKS];	/* of 1000 */
};

/* Chances as they are without options. */
void plans_init(struct plans *p);

/* "NAME=CHANCE" of 1000. 0, or -1 after a message. */
int plans_set(struct plans *p, const char *text);

void plans_draw(struct plans *p, struct plan *out);

/* It has happened: counted, and told on standard output. */
void plans_count(struct plans *p, const struct plan *plan, uint64_t at);
void plans_count_quirk(struct plans *p, enum quirk quirk);

/* The names with their chances, for a usage text. */
void plans_help(const struct plans *p, FILE *to);

/* All counts as members of a JSON object. */
void plans_print(const struct plans *p, FILE *to);

#endif
