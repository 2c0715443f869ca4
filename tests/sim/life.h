/*
 * The whole life of a seed: storm, calm, rest and, for every other seed, the
 * goodbye.
 */
#ifndef TESTS_SIM_LIFE_H
#define TESTS_SIM_LIFE_H

#include <stdbool.h>

struct world;

/*
 * The world is initialised and chosen, not started. False: it failed, and
 * its trace says how.
 */
bool life_run(struct world *w);

#endif
