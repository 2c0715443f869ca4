/*
 * The verb `run`: everything from the configuration to the end of the event
 * loop.
 */
#ifndef CLIENT_RUN_H
#define CLIENT_RUN_H

struct setup;

/* Returns the program's exit code; complaints are on standard error. */
int run_tunnel(const struct setup *setup);

#endif
