/*
 * What the files of scenarios share: scenarios.c (what things cost, and the
 * running of all), scenarios_away.c (a client that is away for a while),
 * scenarios_duplex.c (bodies that stay open) and scenarios_many.c (more than
 * one wants to serve).
 */
#ifndef TESTS_SIM_SCENARIOS_IMPL_H
#define TESTS_SIM_SCENARIOS_IMPL_H

#include "tests/sim/scenarios.h"
#include "tests/sim/world.h"

#define LATENCY_MS 25u
#define RTT_MS (2 * LATENCY_MS)
#define TURNS 200u
#define REST_MS 60000u	/* the last held request is answered by then */
#define PLENTY_MS 600000u

struct scenario {
	const char *name;
	void (*fn)(struct world *w);
};

/* Each ends with a name of NULL. */
extern const struct scenario scenarios_away[], scenarios_duplex[],
    scenarios_many[];

/* 200 bytes up, 1 KiB down, again and again. */
struct apps_conv *scenarios_turns(struct world *w, uint64_t at_ms);

/* It is a failure if the value is larger. */
void scenarios_limit(struct world *w, const char *what, uint64_t value,
    uint64_t most);

/* Until every conversation is over. */
bool scenarios_over(struct world *w);

#endif
