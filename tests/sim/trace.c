#include "config.h"

#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void trace_say(const struct trace *t, const char *fmt, ...)
{
	va_list ap;

	if (!t->verbose)
		return;
	printf("# %9" PRIu64 " ", *t->now_ms);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void trace_fail(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	if (t->failed)
		return;
	t->failed = true;
	t->failed_ms = *t->now_ms;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	trace_say(t, "FAILED: %s", t->why);
}
