/*
 * The bench's guest: opens connections to a server of serve.h, by whatever
 * way leads there, and measures. One scenario per run.
 */
#ifndef TESTS_BENCH_SCENARIO_H
#define TESTS_BENCH_SCENARIO_H

#include <stdint.h>

struct scenario {
	const char *name;	/* transactions, bulk, connect, idle, ... */
	const char *connect;	/* "ADDRESS:PORT" */
	unsigned connections;
	uint64_t up, down;	/* bytes of a request, of its answer */
	double seconds, warmup, timeout;
	double pace_ms;		/* between two requests of one user; 0: none */
	const char *direction;	/* of bulk: down, up, both */
	const char *beside;	/* bulk beside transactions, or NULL */
	uint64_t bytes;		/* of bulk; 0: as many as the seconds allow */
	unsigned count;		/* of connects */
};

/* One line of JSON to standard output; the exit status. */
int scenario_run(const struct scenario *o);

#endif
