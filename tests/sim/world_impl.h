/* What world.c (the loop) and world_ops.c (the engines' owner) share. */
#ifndef TESTS_SIM_WORLD_IMPL_H
#define TESTS_SIM_WORLD_IMPL_H

#include "tests/sim/world.h"

/* For a client's engine: its own world; for the gateway's: the host. */
extern const struct lanes_ops world_lanes_ops;
extern const struct gate_ops world_gate_ops;

#endif
