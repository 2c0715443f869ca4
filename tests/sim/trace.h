/*
 * What a run says: a trace for people who ask for it, and the first thing
 * that was wrong.
 */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_WHY_MAX 400u

struct trace {
	bool verbose;
	const uint64_t *now_ms;	/* the virtual clock */
	bool failed;
	uint64_t failed_ms;	/* when, and why: the first failure only */
	char why[TRACE_WHY_MAX];
};

/* One line of trace with the virtual time before it, if anyone listens. */
void trace_say(const struct trace *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Something is wrong: the run is to end. */
void trace_fail(struct trace *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
