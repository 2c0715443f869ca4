/*
 * What the network of a seed is like: the path (always) and the weather
 * (while it lasts), and what happens to each exchange on the way. Decides
 * only; net.c and leg.c carry it out.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/rng.h"

/* The way between client and gateway when nothing is broken. */
struct faults_path {
	uint64_t latency_ms;		/* each way */
	uint64_t jitter_ms;		/* at most, on top */
	uint64_t up_rate, down_rate;	/* bytes a second; 0: no limit */
	uint64_t chunk_max;		/* bytes handed on at a time */
	uint64_t body_max;		/* of a request; 0: no limit */
	unsigned body_status;		/* what the proxy says beyond it */
	unsigned query_status;		/* and to a request without a body; 1: it
					 * breaks off; 0: lets it through */
	uint64_t silence_ms;		/* the proxy's patience; 0: endless */
	bool hold_request;		/* forwarded only once it is whole */
	bool hold_response;
	uint64_t more_ms;		/* behind the beginning of a body that
					 * goes on, it waits for more */
	bool http2;
	unsigned blind_per_mille;	/* gateway not told of lost clients */
};

/* What can happen to one exchange. */
enum faults_kind {
	FAULTS_NONE,
	FAULTS_LOST,		/* the request does not arrive */
	FAULTS_CUT_UP,		/* it breaks off */
	FAULTS_SHORT_UP,	/* it breaks off and looks complete */
	FAULTS_FLIP_UP,		/* a bit of it is wrong */
	FAULTS_LATE,		/* it arrives long after */
	FAULTS_LOST_DOWN,	/* the response does not arrive */
	FAULTS_CUT_DOWN,
	FAULTS_SHORT_DOWN,
	FAULTS_FLIP_DOWN,
	FAULTS_STALE_DOWN,	/* another exchange's response instead */
	FAULTS_HTML_DOWN,	/* a page instead, status 200 */
	FAULTS_STATUS_DOWN,	/* an error instead; the gateway was asked */
	FAULTS_STATUS,		/* an error; the gateway was not asked */
	FAULTS_HTML,		/* a page; the gateway was not asked */
	FAULTS_SLOW,		/* both ways take much longer */
	FAULTS_KINDS
};
const char *faults_kind_name(enum faults_kind k);

/* What can happen to the whole of it, now and then. */
enum faults_event {
	FAULTS_CUT_ALL,		/* all connections break */
	FAULTS_BLACKHOLE,	/* all connections go silent for good */
	FAULTS_OUTAGE,		/* no network for a while */
	FAULTS_REPLAY,		/* someone sends an old request again */
	FAULTS_GARBAGE,		/* someone sends nonsense */
	FAULTS_RESTART,		/* the gateway is restarted */
	FAULTS_UPGRADE,		/* another one goes on with its state */
	FAULTS_HINT,		/* the client is told: network changed */
	FAULTS_KNOCK,		/* the client is told: do not wait */
	FAULTS_KEEP,		/* a proxy begins to keep bodies, or stops */
	FAULTS_EVENTS
};

struct faults {
	struct faults_path path;
	bool stormy;			/* the weather counts */
	unsigned per_mille[FAULTS_KINDS];
	unsigned twice_per_mille;	/* the request arrives twice */
	uint64_t mean_ms[FAULTS_EVENTS];/* between two; 0: never */
	uint64_t outage_max_ms;
	uint64_t storm_ms;		/* how long the weather lasts */
};

/* By seed: each kind of fault is in some seeds frequent, in others absent. */
void faults_choose(struct faults *f, struct rng *r);

/* No faults at all: latency_ms each way, everything at once. */
void faults_clean(struct faults *f, uint64_t latency_ms);

/* Does anything at all go wrong in this seed? */
bool faults_any(const struct faults *f);

/* What happens to an exchange. */
struct faults_plan {
	enum faults_kind kind;
	uint64_t at;		/* which byte it happens at */
	uint64_t wait_ms;	/* LATE: how late; SLOW: how much slower */
	unsigned status;	/* STATUS, STATUS_DOWN */
	bool told;		/* the client is told that it failed, */
	uint64_t told_ms;	/* that long after; else it waits in vain */
	bool twice;		/* a second copy arrives, */
	uint64_t twice_ms;	/* that long after the first, */
	bool second;		/* and its response is the one passed on */
};
void faults_plan(const struct faults *f, struct rng *r, size_t body_len,
    struct faults_plan *out);

#endif
