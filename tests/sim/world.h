/*
 * One run: a client engine and a gateway engine, the network between them,
 * the conversations on top, and one virtual clock. Checks after every step
 * what must always hold, and at the end that everything has come to rest.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/gate.h"
#include "common/lanes.h"
#include "tests/sim/apps.h"
#include "tests/sim/events.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/rng.h"
#include "tests/sim/trace.h"

struct world {
	/* May be changed before world_start. */
	struct lanes_config client;
	struct gate_config server;
	struct faults faults;
	bool break_lane_rule;
	/* Read by the owner. */
	struct trace trace;
	struct events events;
	struct net net;
	struct apps apps;
	struct rng rng;
	struct lanes *lanes;
	struct gate *gate;		/* NULL while it is down */
	struct gate_session *session;	/* that the gateway has now */
	uint64_t sessions;		/* that the gateway has announced */
	bool asleep;			/* the client, with its clock */
	uint64_t runs;			/* of an engine by its deadline */
	/* Private. */
	uint64_t seed;
	struct world *next;		/* the next client of the gateway */
	bool lanes_woken, gate_woken;
	bool gate_ending;		/* being freed */
	bool gate_upgrading;		/* being made from a state */
	struct gate *letting_go;	/* before an upgrade, which is to be */
	bool in_vain;
	bool leaving;			/* the client says goodbye */
	unsigned idle_runs;		/* engines run without an event */
	uint64_t second, second_steps;	/* for the limit on events */
	uint64_t failures_second;	/* failed exchanges when it began */
};

/*
 * Everything at its defaults, on a clean network of no latency, nothing begun.
 * world_fini is to be called in any case.
 */
void world_init(struct world *w, uint64_t seed, bool verbose);
void world_fini(struct world *w);

/* Let the seed choose limits, path, weather and conversations. */
void world_choose(struct world *w);

/* Create the engines. */
void world_start(struct world *w);

/*
 * One more client of the same gateway, in a world of its own that has been
 * initialised: it shares the clock, the gateway and the trace of w, which was
 * started before and releases it in the end.
 */
void world_join(struct world *w, struct world *client);

/*
 * The client sleeps for so long, and its connections break. clock_stops: it
 * does not notice by its clock. True: nothing failed.
 */
bool world_sleep(struct world *w, uint64_t for_ms, bool clock_stops);

/* Let time pass. False: something failed. */
bool world_run(struct world *w, uint64_t for_ms);

/*
 * Until done(w), but no longer than max_ms, or it is a failure that names
 * what was waited for.
 */
bool world_wait(struct world *w, bool (*done)(struct world *w),
    uint64_t max_ms, const char *what);

/* The gateway is gone, now, and back after that time. */
void world_restart_gate(struct world *w, uint64_t down_ms);

/*
 * Another gateway goes on with the state of this one; or, in vain, this one
 * does after the other has been made.
 */
void world_upgrade_gate(struct world *w, bool in_vain);

/* For world_wait: all clients. */
bool world_is_up(struct world *w);
bool world_is_over(struct world *w);	/* every conversation */
bool world_is_idle(struct world *w);	/* nothing left anywhere */

#endif
