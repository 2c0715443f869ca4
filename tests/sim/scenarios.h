/*
 * Promises about cost and pace, each shown once on a network without faults.
 */
#ifndef TESTS_SIM_SCENARIOS_H
#define TESTS_SIM_SCENARIOS_H

#include <stdbool.h>

unsigned scenarios_count(void);

/*
 * Run all, with a trace if verbose; TAP lines numbered from first. Returns how
 * many failed.
 */
unsigned scenarios_run(unsigned first, bool verbose);

#endif
