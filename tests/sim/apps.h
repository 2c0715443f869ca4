/*
 * Who uses the streams: conversations with a client's end and a server's end,
 * each writing a known pattern and comparing what it reads. They half-close
 * in either order, stall, reset, or open and close with nothing, by seed.
 */
#ifndef TESTS_SIM_APPS_H
#define TESTS_SIM_APPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/lanes.h"
#include "tests/sim/events.h"
#include "tests/sim/rng.h"
#include "tests/sim/trace.h"

/* What one end does. */
struct apps_script {
	uint64_t total;		/* bytes it writes in all */
	uint64_t first_after;	/* bytes it reads before it writes any */
	uint64_t turn, other_turn; /* bytes each writes in turn; 0: no turns */
	uint64_t think_ms;	/* before each of its turns */
	bool end_after_end;	/* ends its half only after the other's end */
	uint64_t reset_after;	/* bytes read and written; UINT64_MAX: never */
	bool refuses;		/* resets at once (server's end) */
	unsigned stall_per_mille; /* pauses after a read or a write, */
	uint64_t stall_max_ms;	/* up to that long */
	size_t piece_max;	/* bytes read or written at a time */
};

enum apps_state {
	APPS_NONE,		/* not opened yet */
	APPS_LIVE,
	APPS_DONE,		/* both halves ended well, and released */
	APPS_RESET,		/* reset by this end */
	APPS_WAS_RESET,		/* by the other end, or with the session */
	APPS_VANISHED		/* the gateway is no more */
};

struct apps_conv;

struct apps_end {
	struct apps_conv *conv;		/* private */
	bool client;			/* private */
	struct apps_script script;
	enum apps_state state;		/* read-only */
	uint64_t code;			/* of a reset, either way */
	uint64_t read, written;		/* read-only */
	/* For a client that takes turns: how long each took. */
	uint64_t turns, all_turns_ms;
	uint64_t worst_turn_ms;		/* from the third turn on */
	/* Private. */
	struct stream *st;
	struct rng rng;
	uint64_t key;
	bool finished, at_end;
	bool read_stalled, write_stalled, thinking;
	uint64_t thought;		/* turns that were thought about */
	uint64_t turn_began_ms;
};

struct apps_conv {
	struct apps *apps;		/* private */
	struct apps_conv *next;		/* the one begun before it */
	unsigned number;
	struct apps_end client, server;
	char name[32];			/* server asked for; may be empty */
	uint64_t id;			/* private: the stream's, */
	unsigned opened;		/* and the how-manieth it was */
	bool lost;			/* its session ended while it lived */
	uint64_t ended_ms;		/* when its client's end was over */
};

struct apps {
	/* Set by the owner. */
	struct events *events;
	struct trace *trace;
	struct lanes *lanes;
	bool gate_has_session;		/* losing streams would be wrong */
	bool closing;			/* the session is being closed */
	bool tight;			/* so few streams that LIMIT is fair */
	/* Read by the owner. */
	struct apps_conv *convs;
	unsigned opened;
	unsigned lost;			/* ends reset with the session, */
	unsigned server_lost;		/* of these, server's ends */
	/* Private. */
	uint64_t seed;
	unsigned count;
};

void apps_init(struct apps *a, uint64_t seed);
void apps_fini(struct apps *a);

/*
 * A conversation that opens its stream at at_ms, or as soon after that as the
 * engine lets it. Scripts that do nothing are filled in: to be changed by the
 * caller before that time.
 */
struct apps_conv *apps_add(struct apps *a, uint64_t at_ms);

/* Let the seed decide what the two ends of a conversation do. */
void apps_choose(struct apps_conv *c, struct rng *r, uint64_t size_max);

/* gate_ops.on_open. */
void apps_on_open(struct apps *a, struct stream *st, const char *name,
    size_t name_len);

/* The gateway is gone with all its streams; no stream is touched again. */
void apps_gate_lost(struct apps *a);

/*
 * The gateway's session is another object now, with the same streams in it,
 * which have no owner yet.
 */
void apps_gate_upgraded(struct apps *a, struct session *s);

/* Bytes that all conversations write, both ends. */
uint64_t apps_total(const struct apps *a);

/* How long all turns take, one after the other, with such a round trip. */
uint64_t apps_turns_ms(const struct apps *a, uint64_t rtt_ms);

/* Is every conversation over, at both ends? */
bool apps_over(const struct apps *a);

/* All are over: fail unless each ended as it should. */
void apps_judge(struct apps *a);

/* The first conversation that is not over, in words, for a failure. */
void apps_describe(const struct apps *a, char *out, size_t len);

#endif
